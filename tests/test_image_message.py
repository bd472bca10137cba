# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages to RGB: right pixels or one line that says what is wrong."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image_messages import compressed, image
from vlo_ros.errors import SourceError
from vlo_ros.image_message import ALIASES, ENCODINGS, MAX_SIDE, to_rgb

YUV = ('yuv422', 'yuv422_yuy2', 'uyvy', 'yuyv')
TO_ENCODING = {
    'rgb8': None,
    'bgr8': cv2.COLOR_RGB2BGR,
    'rgba8': cv2.COLOR_RGB2RGBA,
    'bgra8': cv2.COLOR_RGB2BGRA,
    'mono8': cv2.COLOR_RGB2GRAY,
}


def padded(image_HWC, encoding, padding, fill=0xAA):
    height, width = image_HWC.shape[:2]
    rows = image_HWC.reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=fill)
    return image(rows.tobytes(), width, height, encoding, rows.shape[1])


def random_rgb(seed, width=8, height=6):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth_rgb(width=64, height=48):
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
    return (ramp * np.array([1.0, 0.5, 0.2])).astype(np.uint8)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', TO_ENCODING)
def test_gives_the_same_rgb_whatever_the_encoding_and_padding(encoding, padding):
    rgb = random_rgb(0)
    code = TO_ENCODING[encoding]
    pixels = rgb if code is None else cv2.cvtColor(rgb, code)
    expected = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if encoding == 'mono8' else rgb
    np.testing.assert_array_equal(to_rgb(padded(pixels, encoding, padding)), expected)


@pytest.mark.parametrize(('name', 'plain'), ALIASES.items())
def test_reads_the_names_that_opencv_gives(name, plain):
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, ENCODINGS[plain]), dtype=np.uint8)
    message = padded(pixels, plain, 0)
    expected = to_rgb(message)
    message.encoding = name
    np.testing.assert_array_equal(to_rgb(message), expected)


@pytest.mark.parametrize('encoding', YUV)
def test_reads_both_orders_of_yuv422(encoding):
    # Y 100, U 90 and V 240 is a strong red in either order.
    pair = [90, 100, 240, 100] if encoding in ('yuv422', 'uyvy') else [100, 90, 100, 240]
    pixels = np.tile(np.array(pair, np.uint8), (4, 3)).reshape(4, 6, 2)
    red, green, blue = to_rgb(padded(pixels, encoding, 3))[0, 0].tolist()
    assert red > 200 > 100 > max(green, blue)


def test_byte_order_says_nothing_of_single_bytes():
    rgb = random_rgb(2)
    message = image(rgb.tobytes(), 8, 6, 'rgb8', is_bigendian=1)
    np.testing.assert_array_equal(to_rgb(message), rgb)
    message.encoding = 'bgr8'
    np.testing.assert_array_equal(to_rgb(message), rgb[:, :, ::-1])


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_decodes_compressed_images(extension):
    rgb = smooth_rgb()
    data = cv2.imencode(extension, rgb[:, :, ::-1])[1]
    decoded = to_rgb(compressed(data.tobytes(), extension[1:]))
    assert decoded.shape == rgb.shape
    assert np.abs(decoded.astype(int) - rgb).max() <= (0 if extension == '.png' else 12)


def test_grey_jpeg_becomes_rgb():
    data = cv2.imencode('.jpg', smooth_rgb()[:, :, 0])[1]
    assert to_rgb(compressed(data)).shape == (48, 64, 3)


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
@pytest.mark.parametrize('part', [0.02, 0.5, 0.98])
def test_half_a_file_is_refused_not_half_shown(extension, part):
    data = cv2.imencode(extension, random_rgb(3, 200, 200))[1]
    cut = data[: int(part * data.size)].tobytes()
    with pytest.raises(SourceError, match=r'cut short|neither JPEG nor PNG'):
        to_rgb(compressed(cut))


@pytest.mark.parametrize(
    ('message', 'says'),
    [
        (image(b'', 8, 6, '32FC1'), r"8x6 '32FC1'.*accepted: rgb8, bgr8"),
        (image(b'', 8, 6, ''), "''.*accepted"),
        (image(bytes(6 * 23), 8, 6, 'rgb8', 23), 'step 23 is shorter than a row of 24 bytes'),
        (image(bytes(6 * 24), 8, 6, 'rgb8', 0), 'step 0 is shorter'),
        (image(bytes(6 * 24 - 1), 8, 6, 'rgb8'), '143 bytes of data where step x height is 144'),
        (image(b'', 0, 0, 'rgb8'), 'empty image'),
        (image(b'', 8, 0, 'rgb8'), 'empty image'),
        (image(b'', MAX_SIDE + 1, 1, 'mono8'), 'larger than'),
        (image(b'', 2**32 - 1, 2**32 - 1, 'mono8'), 'larger than'),
        (image(bytes(18), 3, 3, 'yuv422'), 'must be even'),
        (compressed(b''), 'no data'),
        (compressed(b'GIF89a' + bytes(50)), 'neither JPEG nor PNG'),
        (compressed(b'\x89PNG\r\n\x1a\n' + bytes(50) + b'IEND', 'png'), 'empty image|damaged'),
        (
            compressed(b'\x89PNG\r\n\x1a\n' + bytes(8) + b'\x7f\xff\xff\xff' * 2 + b'IEND', 'png'),
            'larger than',
        ),
        (compressed(b'\xff\xd8\xff\xe0' + bytes(50) + b'\xff\xd9'), 'no frame header'),
    ],
)
def test_says_what_is_wrong_in_one_line(message, says):
    with pytest.raises(SourceError, match=says) as caught:
        to_rgb(message)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 400


@settings(max_examples=200, deadline=None)
@given(
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    step=st.integers(0, 200),
    encoding=st.sampled_from([*ENCODINGS, '8UC1', '8UC3', '16UC1', 'nonsense', '\x00']),
    size=st.integers(0, 3000),
    is_bigendian=st.booleans(),
)
def test_any_image_message_is_rgb_or_one_line(width, height, step, encoding, size, is_bigendian):
    message = image(bytes(size), width, height, encoding, step, is_bigendian)
    try:
        rgb = to_rgb(message)
    except SourceError as error:
        assert '\n' not in str(error)
    else:
        assert rgb.shape == (height, width, 3)
        assert rgb.dtype == np.uint8
        assert rgb.flags.writeable


JPEG = cv2.imencode('.jpg', smooth_rgb())[1].tobytes()
PNG = cv2.imencode('.png', smooth_rgb())[1].tobytes()


@settings(max_examples=200, deadline=None)
@given(
    original=st.sampled_from([JPEG, PNG]),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    cut=st.floats(0, 1),
    is_cut=st.booleans(),
)
def test_any_damaged_file_is_rgb_or_one_line(original, damage, cut, is_cut):
    data = bytearray(original)
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    if is_cut:
        data = data[: int(cut * len(data))]
    try:
        rgb = to_rgb(compressed(bytes(data)))
    except SourceError as error:
        assert '\n' not in str(error)
    else:
        assert rgb.ndim == 3 and rgb.shape[2] == 3
