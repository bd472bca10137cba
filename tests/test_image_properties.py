# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any image of any encoding is converted as plain numpy says; any padding, any byte order."""

from __future__ import annotations

import array

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.image_messages import compressed, image
from vlo_ros.image_message import ENCODINGS, to_rgb

# What cv_bridge makes of the names of OpenCV.
ALIASES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}
# Fixed-point coefficients of different libraries differ by this much.
YUV_TOLERANCE = 2


def yuv_to_rgb(pixels_HW2, u_first):
    """ITU-R BT.601, video range, each pair of pixels sharing the colour of both."""
    luma, colour = (1, 0) if u_first else (0, 1)
    y = pixels_HW2[..., luma].astype(float) - 16
    u = np.repeat(pixels_HW2[:, 0::2, colour], 2, axis=1).astype(float) - 128
    v = np.repeat(pixels_HW2[:, 1::2, colour], 2, axis=1).astype(float) - 128
    y = 1.164 * np.maximum(y, 0)
    rgb = np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], axis=-1)
    return np.clip(np.round(rgb), 0, 255)


REFERENCES = {
    'rgb8': lambda p: p,
    'bgr8': lambda p: p[..., ::-1],
    'rgba8': lambda p: p[..., :3],
    'bgra8': lambda p: p[..., 2::-1],
    'mono8': lambda p: np.repeat(p, 3, axis=2),
    'yuv422': lambda p: yuv_to_rgb(p, u_first=True),
    'uyvy': lambda p: yuv_to_rgb(p, u_first=True),
    'yuv422_yuy2': lambda p: yuv_to_rgb(p, u_first=False),
    'yuyv': lambda p: yuv_to_rgb(p, u_first=False),
}
# Where red, green, green and blue lie in a square of four pixels.
MOSAICS = {
    'bayer_rggb8': 'RGGB',
    'bayer_bggr8': 'BGGR',
    'bayer_gbrg8': 'GBRG',
    'bayer_grbg8': 'GRBG',
}


def test_every_encoding_has_a_reference():
    assert {*REFERENCES, *MOSAICS} == set(ENCODINGS)


@st.composite
def images(draw, encodings, least_side=1):
    """A message with padded rows, spare bytes behind the last, and any claim of byte order."""
    encoding = draw(st.sampled_from(sorted(encodings)))
    plain = ALIASES.get(encoding, encoding)
    sides = st.integers(least_side, 12)
    height, width = draw(sides), draw(sides)
    if ENCODINGS[plain] == 2:
        width *= 2
    elif plain in MOSAICS:
        height, width = 2 * height, 2 * width
    shape = (height, width, ENCODINGS[plain])
    pixels = draw(arrays.arrays(np.uint8, shape))
    padding = draw(st.integers(0, 9))
    filling = draw(st.integers(0, 255))
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)), constant_values=filling)
    data = rows.tobytes() + bytes(draw(st.integers(0, 5)))
    holder = draw(st.sampled_from([bytes, bytearray, as_array, as_numpy]))
    message = image(holder(data), width, height, encoding, rows.shape[1], draw(st.booleans()))
    return message, pixels


def as_array(data):
    return array.array('B', data)


def as_numpy(data):
    return np.frombuffer(data, np.uint8)


def assert_is_an_image(rgb, height, width):
    assert (rgb.shape, rgb.dtype) == ((height, width, 3), np.uint8)
    assert rgb.flags.writeable and rgb.flags.c_contiguous


@settings(max_examples=300, deadline=None, print_blob=True)
@given(drawn=images({*REFERENCES, *ALIASES}))
def test_pixels_are_those_of_plain_numpy(drawn):
    message, pixels = drawn
    encoding = ALIASES.get(message.encoding, message.encoding)
    rgb = to_rgb(message)
    assert_is_an_image(rgb, message.height, message.width)
    tolerance = YUV_TOLERANCE if ENCODINGS[encoding] == 2 else 0
    np.testing.assert_allclose(
        rgb.astype(int), REFERENCES[encoding](pixels).astype(int), atol=tolerance
    )


@settings(max_examples=100, deadline=None, print_blob=True)
@given(
    encoding=st.sampled_from(sorted(MOSAICS)),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    sides=st.tuples(*[st.integers(2, 6)] * 2),
    padding=st.integers(0, 7),
)
def test_a_mosaic_of_one_colour_is_that_colour(encoding, colour, sides, padding):
    """However a library guesses what lies between its pixels, this much is certain."""
    height, width = 2 * sides[0], 2 * sides[1]
    square = np.array(['RGB'.index(letter) for letter in MOSAICS[encoding]]).reshape(2, 2)
    pixels = np.array(colour, np.uint8)[np.tile(square, sides)]
    rows = np.pad(pixels, ((0, 0), (0, padding)), constant_values=77)
    rgb = to_rgb(image(rows.tobytes(), width, height, encoding, width + padding))
    assert_is_an_image(rgb, height, width)
    np.testing.assert_array_equal(rgb, np.broadcast_to(np.uint8(colour), rgb.shape))


@settings(max_examples=50, deadline=None, print_blob=True)
@given(
    pixels=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3, 4]))
    )
)
def test_a_png_gives_back_its_pixels(pixels):
    """Grey, colour, and colour with transparency, which is left out."""
    data = cv2.imencode('.png', pixels)[1].tobytes()
    rgb = to_rgb(compressed(data, 'png'))
    assert_is_an_image(rgb, *pixels.shape[:2])
    expected = {1: 'mono8', 3: 'bgr8', 4: 'bgra8'}[pixels.shape[2]]
    np.testing.assert_array_equal(rgb, REFERENCES[expected](pixels))
