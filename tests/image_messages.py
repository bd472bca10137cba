# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages as plain objects: what converts them asks for no ROS."""

from types import SimpleNamespace

from vlo_ros.image_message import ENCODINGS


def image(data, width, height, encoding, step=None, is_bigendian=0):
    return SimpleNamespace(
        header=SimpleNamespace(),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=width * ENCODINGS.get(encoding, 3) if step is None else step,
        data=data,
    )


def compressed(data, format='jpeg'):
    return SimpleNamespace(header=SimpleNamespace(), format=format, data=data)
