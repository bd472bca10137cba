# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small recordings for the tests: bags, videos, images, arrays. Frame i is filled with value i."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vlo_ros.errors import SourceError
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

TYPES = get_typestore(Stores.LATEST)
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
STORAGES = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
START_NS = 1_700_000_000 * 10**9
SIDE = 64


def grey(value: int, side: int = SIDE) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def header(stamp_ns: int) -> Any:
    time = TYPES.types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return TYPES.types['std_msgs/msg/Header'](time, 'camera')


def raw_image(stamp_ns: int, value: int) -> Any:
    data = grey(value).reshape(-1)
    return TYPES.types[IMAGE](header(stamp_ns), SIDE, SIDE, 'rgb8', 0, SIDE * 3, data)


def png_image(stamp_ns: int, value: int) -> Any:
    data = cv2.imencode('.png', grey(value))[1]
    return TYPES.types[COMPRESSED](header(stamp_ns), 'png', data)


def stamps(number: int, fps: float = 10.0, start_ns: int = START_NS) -> list[int]:
    return [start_ns + round(i * 1e9 / fps) for i in range(number)]


def write_bag(
    folder: Path,
    storage: str,
    stamps_ns: Sequence[int],
    topics: Sequence[str] = ('/camera',),
    make: Callable[[int, int], Any] = raw_image,
    extra: bool = False,
) -> Path:
    """Write a bag; message i of each topic is recorded 0.1 s after message i - 1."""
    with Writer(folder, version=9, storage_plugin=STORAGES[storage]) as writer:
        kinds = {topic: make(0, 0).__msgtype__ for topic in topics}
        open_topics = {
            topic: writer.add_connection(topic, kind, typestore=TYPES)
            for topic, kind in kinds.items()
        }
        if extra:
            text = TYPES.types['std_msgs/msg/String']('hello')
            chatter = writer.add_connection('/chatter', text.__msgtype__, typestore=TYPES)
            writer.write(chatter, START_NS, TYPES.serialize_cdr(text, text.__msgtype__))
        for number, stamp_ns in enumerate(stamps_ns):
            for topic, connection in open_topics.items():
                data = TYPES.serialize_cdr(make(stamp_ns, number), kinds[topic])
                writer.write(connection, START_NS + number * 10**8, data)
    return folder


def storage_file(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.suffix in ('.db3', '.mcap'))


def cut(path: Path, share: float) -> Path:
    """Cut a file off, as when the disk is full or the recorder is killed."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def frames_before_break(path: Path) -> tuple[list[Frame], str]:
    """Read a damaged recording; return the frames before the damage and what is said of it."""
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        for frame in open_source(str(path)).frames(Sampler(10)):
            frames.append(frame)
    assert '\n' not in str(caught.value)
    return frames, str(caught.value)


def write_video(
    path: Path, number: int = 30, fps: int = 10, codec: str = 'mpeg4', **options: str
) -> Path:
    """Write a video whose frame i has the grey value 4 i."""
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 2 * SIDE, SIDE, 'yuv420p'
        stream.gop_size = 5
        for value in range(number):
            image = np.full((SIDE, 2 * SIDE, 3), 4 * value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path
