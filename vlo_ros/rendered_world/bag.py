# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes an episode as a bag: pictures, and what is to be said about them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vlo_ros.events import NS_PER_S
from vlo_ros.rendered_world.episode import Episode

IMAGE_TOPIC, NOTES_TOPIC = '/camera/image_raw', '/notes'
START_NS = 1_750_000_000 * NS_PER_S
CAMERA_FPS = 10


def write_bag(
    folder: Path, episode: Episode, seconds: float, size: int, start: float = 0.0
) -> None:
    """Write an episode's pictures, and its narrations as std_msgs/String.

    Args:
        folder: The bag; must not exist. Nothing is left of one that was interrupted.
        episode: What to show.
        seconds: Length.
        size: Side of the square picture in pixels.
        start: Where in the episode to begin, in seconds.
    """
    store = get_typestore(Stores.LATEST)
    image_type, text_type = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'

    def pictures() -> Iterator[tuple[int, str, Any]]:
        for number in range(round(seconds * CAMERA_FPS)):
            time_s = number / CAMERA_FPS
            stamp_ns = START_NS + round(time_s * NS_PER_S)
            stamp = store.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, NS_PER_S))
            header = store.types['std_msgs/msg/Header'](stamp, 'camera')
            data = episode.frame(start + time_s, size).reshape(-1)
            image = store.types[image_type](header, size, size, 'rgb8', 0, 3 * size, data)
            yield stamp_ns, IMAGE_TOPIC, image

    def notes() -> Iterator[tuple[int, str, Any]]:
        for narration in episode.narrations(start, start + seconds):
            stamp_ns = START_NS + round((narration.time - start) * NS_PER_S)
            yield stamp_ns, NOTES_TOPIC, store.types[text_type](narration.text)

    try:
        with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {
                topic: writer.add_connection(topic, kind, typestore=store)
                for topic, kind in ((IMAGE_TOPIC, image_type), (NOTES_TOPIC, text_type))
            }
            for stamp_ns, topic, message in merge(pictures(), notes(), key=itemgetter(0)):
                data = store.serialize_cdr(message, message.__msgtype__)
                writer.write(connections[topic], stamp_ns, data)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # a short one would pass for the whole
        raise
