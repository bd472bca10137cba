# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages of rclpy: the contract holds for cv_bridge and for rosbags-image alike."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from vlo_ros.errors import SourceError
from vlo_ros.image_message import ENCODINGS, to_rgb
from vlo_ros.message_header import peek_header, to_ns
from vlo_ros.ros import convert

pytestmark = pytest.mark.ros


def random_rgb(seed=0, width=10, height=6):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize('encoding', convert.PUBLISHED_ENCODINGS)
def test_what_the_camera_publishes_is_what_the_node_sees(encoding):
    rgb = random_rgb()
    message = convert.image_message_of(rgb, 12_345_678_901, 'eye', encoding)
    seen = convert.to_rgb(message)
    if encoding != 'mono8':
        np.testing.assert_array_equal(seen, rgb)
    assert seen.shape == rgb.shape
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 345_678_901)
    assert message.header.frame_id == 'eye'


def test_jpeg_comes_back_close():
    rgb = np.full((48, 64, 3), (200, 100, 30), np.uint8)
    seen = convert.to_rgb(convert.compressed_message_of(rgb, 0, 'eye'))
    assert np.abs(seen.astype(int) - rgb).max() < 8


@pytest.mark.skipif(convert.CvBridge is None, reason='cv_bridge is not installed')
@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if name != 'rgb8'])
@pytest.mark.parametrize('padding', [0, 6])
def test_cv_bridge_decodes_to_the_pixels_of_rosbags_image(encoding, padding):
    width, height = 8, 6
    step = width * ENCODINGS[encoding] + padding
    data = np.random.default_rng(5).integers(0, 256, step * height, dtype=np.uint8)
    message = Image(width=width, height=height, encoding=encoding, step=step, data=data.tobytes())
    np.testing.assert_allclose(convert.to_rgb(message), to_rgb(message), atol=1)


def test_defects_are_one_line():
    with pytest.raises(SourceError, match='accepted: rgb8'):
        convert.to_rgb(Image(width=2, height=2, encoding='64FC9', step=2, data=bytes(4)))
    with pytest.raises(SourceError, match='empty image'):
        convert.to_rgb(Image())
    with pytest.raises(SourceError, match='no data'):
        convert.to_rgb(CompressedImage())


@settings(deadline=None)  # the first call loads the type support
@given(
    stamp_ns=st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9 + 999_999_999),
    frame_id=st.text(
        st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=40
    ),
)
def test_header_is_read_without_deserializing(stamp_ns, frame_id):
    message = Image(width=1, height=1, encoding='mono8', step=1, data=b'\0')
    message.header.stamp = convert.to_time(stamp_ns)
    message.header.frame_id = frame_id
    assert to_ns(message.header.stamp) == stamp_ns
    assert peek_header(serialize_message(message)) == (stamp_ns, frame_id)


def test_zero_stamp_is_zero():
    assert to_ns(Time()) == 0
