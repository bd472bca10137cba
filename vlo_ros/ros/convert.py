# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages in, camera messages out.

Pixels are decoded by cv_bridge where it is importable and by rosbags-image elsewhere; the checks
before it are the same, so both accept and refuse the same messages (one contract test for both).
"""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from vlo_ros import image_message
from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S

try:
    from cv_bridge import CvBridge, CvBridgeError
except ImportError:
    CvBridge = None

# OpenCV's conversion from RGB to each encoding that the camera node publishes.
_FROM_RGB = {
    'rgb8': None,
    'bgr8': cv2.COLOR_RGB2BGR,
    'rgba8': cv2.COLOR_RGB2RGBA,
    'bgra8': cv2.COLOR_RGB2BGRA,
    'mono8': cv2.COLOR_RGB2GRAY,
}
PUBLISHED_ENCODINGS = tuple(_FROM_RGB)


def to_rgb(message: Image | CompressedImage) -> npt.NDArray[np.uint8]:
    """Convert a camera message to image_HWC, uint8 RGB.

    Raises:
        SourceError: The message is not an image that this package reads; one line.
    """
    return image_message.to_rgb(message, _decode_with_cv_bridge if CvBridge else None)


def _decode_with_cv_bridge(packed: Any) -> npt.NDArray[np.uint8]:
    message = Image(
        header=packed.header,
        height=packed.height,
        width=packed.width,
        encoding=packed.encoding,
        step=packed.step,
        data=_bytes_field(packed.data),
    )
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, 'rgb8'), dtype=np.uint8)
    except CvBridgeError as error:
        raise SourceError(one_line(error)) from error


def image_message_of(
    image_HWC: npt.NDArray[np.uint8], stamp_ns: int, frame_id: str, encoding: str = 'rgb8'
) -> Image:
    """Build an Image message from an RGB image."""
    code = _FROM_RGB[encoding]
    pixels = image_HWC if code is None else cv2.cvtColor(image_HWC, code)
    message = Image(height=image_HWC.shape[0], width=image_HWC.shape[1], encoding=encoding)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.step = pixels.nbytes // image_HWC.shape[0]
    message.data = _bytes_field(pixels)
    return message


def compressed_message_of(
    image_HWC: npt.NDArray[np.uint8], stamp_ns: int, frame_id: str, quality: int = 90
) -> CompressedImage:
    """Build a JPEG CompressedImage message from an RGB image; quality is 1 to 100."""
    bgr = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2BGR)
    encoded, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise SourceError(f'image of shape {image_HWC.shape} could not be encoded as JPEG')
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.data = _bytes_field(jpeg)
    return message


def _bytes_field(data: npt.NDArray[np.uint8]) -> array.array:
    """Return an array.array: rclpy takes it without looking at every element."""
    field = array.array('B')
    field.frombytes(np.ascontiguousarray(data).data)
    return field


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds to a message's stamp."""
    seconds, nanoseconds = divmod(stamp_ns, NS_PER_S)
    return Time(sec=seconds, nanosec=nanoseconds)
