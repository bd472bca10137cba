# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera message to the RGB image that the vision tower takes.

Works on any object with the fields of `sensor_msgs/Image` or `sensor_msgs/CompressedImage`: the
classes of rclpy and those that rosbags reads from a recording. Knows nothing of rclpy. Whatever is
wrong with a message becomes a SourceError of one line; nothing is guessed, nothing fails later.

Shapes: H height, W width, C colour channels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.image import ImageError, message_to_cvimage

from vlo_ros.errors import SourceError, one_line

Image: TypeAlias = npt.NDArray[np.uint8]
PixelDecoder: TypeAlias = Callable[[Any], Image]

# Bytes per pixel of every encoding that is read.
ENCODINGS = {
    'rgb8': 3,
    'bgr8': 3,
    'rgba8': 4,
    'bgra8': 4,
    'mono8': 1,
    'yuv422': 2,
    'yuv422_yuy2': 2,
    'uyvy': 2,
    'yuyv': 2,
    'bayer_rggb8': 1,
    'bayer_bggr8': 1,
    'bayer_gbrg8': 1,
    'bayer_grbg8': 1,
}
# OpenCV's own names say nothing of colour; cv_bridge gives them to grey and BGR images.
ALIASES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}

MAX_SIDE = 16_384
MAX_PIXELS = 64 * 1024 * 1024

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'


class _Repacked:
    """An Image message with its rows packed, its encoding by its plain name, and RGB to come."""

    def __init__(self, message: Any, encoding: str, data: Image) -> None:
        self.header = message.header
        self.height = int(message.height)
        self.width = int(message.width)
        self.encoding = encoding
        self.is_bigendian = 0  # 8-bit channels have no byte order, whatever the message says
        self.step = self.width * ENCODINGS[encoding]
        self.data = data


def to_rgb(message: Any, decode_pixels: PixelDecoder | None = None) -> Image:
    """Convert an Image or CompressedImage message to an RGB image.

    Args:
        message: The message; a `format` field marks it as compressed.
        decode_pixels: What turns a checked, packed Image message into RGB; rosbags-image by
            default.

    Returns:
        image_HWC, uint8 RGB, writable. It may share memory with the message.

    Raises:
        SourceError: The message is not an image that this package reads.
    """
    if hasattr(message, 'format'):
        return _decode_compressed(message)
    packed = _check_and_pack(message)
    if packed.encoding == 'rgb8':
        image_HWC = packed.data.reshape(packed.height, packed.width, 3)
        # PyTorch takes no array over bytes that may not be written, as those of a recording.
        return image_HWC if image_HWC.flags.writeable else image_HWC.copy()
    try:
        image_HWC = (decode_pixels or decode_with_rosbags)(packed)
    except (ImageError, cv2.error, ValueError, TypeError) as error:
        raise SourceError(f'image {_what(message)}: {one_line(error)}') from error
    return np.ascontiguousarray(image_HWC, dtype=np.uint8)


def decode_with_rosbags(packed: Any) -> Image:
    """Turn a packed Image message into RGB with rosbags-image, which ignores `step`."""
    return np.asarray(message_to_cvimage(packed, 'rgb8'), dtype=np.uint8)


def _check_and_pack(message: Any) -> _Repacked:
    """Refuse what cannot be an image; drop the padding that follows each row."""
    encoding = ALIASES.get(message.encoding, message.encoding)
    what = f'image {_what(message)}'
    _check_size(what, int(message.width), int(message.height))
    if encoding not in ENCODINGS:
        accepted = ', '.join((*ENCODINGS, *ALIASES))
        raise SourceError(f'{what}: encoding is not read; accepted: {accepted}')
    if encoding in ('yuv422', 'yuv422_yuy2', 'uyvy', 'yuyv') and message.width % 2:
        raise SourceError(f'{what}: two pixels share a colour, so the width must be even')
    row = int(message.width) * ENCODINGS[encoding]
    step, height = int(message.step), int(message.height)
    if step < row:
        raise SourceError(f'{what}: step {step} is shorter than a row of {row} bytes')
    data = np.frombuffer(message.data, dtype=np.uint8)
    wanted = step * height
    if data.size < wanted:
        raise SourceError(f'{what}: {data.size} bytes of data where step x height is {wanted}')
    rows = data[:wanted].reshape(height, step)
    return _Repacked(message, encoding, np.ascontiguousarray(rows[:, :row]).reshape(-1))


def _decode_compressed(message: Any) -> Image:
    """Decode a JPEG or PNG; half a file is refused, not half shown."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    what = f'compressed image {message.format[:40]!r} of {data.size} bytes'
    if not data.size:
        raise SourceError(f'{what}: no data')
    _check_size(what, *_compressed_size(data.tobytes(), what))
    try:
        image_HWC = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f'{what}: {one_line(error)}') from error
    if image_HWC is None:
        raise SourceError(f'{what}: damaged data')
    return np.asarray(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _compressed_size(data: bytes, what: str) -> tuple[int, int]:
    """Return (width, height) from the file's own header, after making sure that its end is there.

    Decoders fill what is missing with grey; and a header may promise more pixels than memory.
    """
    if data.startswith(_PNG):
        if b'IEND' not in data[-64:]:
            raise SourceError(f'{what}: the PNG is cut short')
        width, height = struct.unpack_from('>II', data, 16)
        return width, height
    if data.startswith(_JPEG):
        if _JPEG_END not in data[-64:]:
            raise SourceError(f'{what}: the JPEG is cut short')
        return _jpeg_size(data, what)
    raise SourceError(f'{what}: neither JPEG nor PNG')


def _jpeg_size(data: bytes, what: str) -> tuple[int, int]:
    """Walk the JPEG's segments to its frame header."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from('>HH', data, position + 5)
            return width, height
        if marker == 0xFF:  # a fill byte before the marker
            position += 1
            continue
        position += 2 + struct.unpack_from('>H', data, position + 2)[0]
    raise SourceError(f'{what}: the JPEG has no frame header')


def _check_size(what: str, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise SourceError(f'{what}: empty image')
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise SourceError(
            f'{what}: {width}x{height} is larger than {MAX_SIDE} a side or {MAX_PIXELS} pixels'
        )


def _what(message: Any) -> str:
    return f'{message.width}x{message.height} {str(message.encoding)[:40]!r}'
