# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2: folder, .mcap or .db3, read without ROS.

A recording whose recorder was killed has no index; it is then read front to back (bag_remains.py),
as far as it goes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S, Frame
from vlo_ros.image_message import to_rgb
from vlo_ros.message_header import peek_header
from vlo_ros.sampling import Sampler, Sampling
from vlo_ros.sources.bag_remains import BagMessage, read_remains, topics_of_remains
from vlo_ros.sources.images import natural_key
from vlo_ros.sources.recording import BAG_SUFFIXES

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')

logger = logging.getLogger(__name__)


class BagRecording:
    """One image topic of a bag; a frame's stamp is the header stamp of its message."""

    def __init__(self, path: Path, topic: str | None) -> None:
        """Open the bag and settle on a topic."""
        self.path = path
        self.duration_s: float | None = None
        self._typestore = get_typestore(Stores.LATEST)
        self._storages: list[Path] = []
        self._damage = ''
        topics = self._read_index()
        self.topic = choose_topic(path, topics, topic)

    @property
    def is_damaged(self) -> bool:
        """Whether its index is missing, so that it is read from what is left."""
        return bool(self._damage)

    def frames(self, sampler: Sampler) -> Iterator[Frame]:
        """Yield the wanted images; one that is damaged is left out and said once."""
        messages = self._messages()
        num_seen, num_bad, first_bad = 0, 0, ''
        while True:
            try:
                message = next(messages, None)
            except Exception as error:  # what a damaged file makes of a parser has no one type
                where = f'{self.path}: damaged after {num_seen} images of {self.topic}'
                raise SourceError(f'{where}: {one_line(error)}') from error
            if message is None:
                break
            num_seen += 1
            try:
                frame = self._frame_of(message, sampler, num_seen)
            except SourceError as error:
                num_bad, first_bad = num_bad + 1, first_bad or str(error)
                if num_bad == 1:
                    logger.warning('%s: an image is left out: %s', self.path, error)
                continue
            if frame is not None:
                yield frame
        if num_bad > 1:
            logger.warning('%s: %d images were left out in all', self.path, num_bad)
        if not num_seen:
            raise SourceError(f'{self.path}: {self.topic} holds no image')
        if sampler.num_late:
            logger.warning('%s: %d images came late, left out', self.path, sampler.num_late)

    def _frame_of(self, message: BagMessage, sampler: Sampler, number: int) -> Frame | None:
        """Convert a message if its frame is wanted; its stamp is read before the rest is."""
        stamp_ns, _ = peek_header(message.data)
        if not stamp_ns:
            if number == 1:
                logger.warning(
                    '%s: header stamps of %s are 0, the time of recording is used',
                    self.path,
                    self.topic,
                )
            stamp_ns = message.log_ns
        if sampler.judge(stamp_ns) not in (Sampling.WANTED, Sampling.RESTARTED):
            return None
        index = sampler.index
        try:
            image: Any = self._typestore.deserialize_cdr(message.data, message.msgtype)
        except Exception as error:  # as above: any type, whatever the damaged bytes say
            raise SourceError(f'damaged message: {one_line(error)}') from error
        return Frame(stamp_ns, index, to_rgb(image))

    def _read_index(self) -> dict[str, str]:
        """Return type by topic, from the bag's index or from what is left of the bag."""
        try:
            readers = self._readers()
            with contextlib.ExitStack() as stack:
                for reader in readers:
                    stack.enter_context(reader)
                if any(reader.message_count for reader in readers):
                    first_ns = min(reader.start_time for reader in readers)
                    last_ns = max(reader.end_time for reader in readers)
                    self.duration_s = (last_ns - first_ns) / NS_PER_S
                return {
                    connection.topic: connection.msgtype
                    for reader in readers
                    for connection in reader.connections
                }
        except SourceError:
            raise
        except Exception as error:  # as above
            self._damage = one_line(error)
        self._storages = storages_of(self.path)
        topics: dict[str, str] = {}
        for storage in self._storages:
            topics |= topics_of_remains(storage)
        if not topics:
            raise SourceError(f'{self.path}: not a bag that can be read: {self._damage}')
        return topics

    def _readers(self) -> list[Reader]:
        """Readers of the whole bag: one for a folder with metadata or a file, else one a file."""
        if self.path.is_file() or (self.path / 'metadata.yaml').exists():
            return [Reader(self.path)]
        return [Reader(storage) for storage in storages_of(self.path)]

    def _messages(self) -> Iterator[BagMessage]:
        """Yield the topic's messages in the order of recording."""
        for storage in self._storages:
            yield from read_remains(storage, self.topic)
        if self._storages:
            return
        for reader in self._readers():
            with reader:
                wanted = [c for c in reader.connections if c.topic == self.topic]
                if not wanted:
                    continue
                for connection, log_ns, data in reader.messages(connections=wanted):
                    yield BagMessage(connection.topic, connection.msgtype, log_ns, bytes(data))


def choose_topic(path: Path, topics: dict[str, str], wanted: str | None) -> str:
    """Return the image topic to read: the one asked for, or the only one.

    Raises:
        SourceError: It is not there, or there are several to choose from.
    """
    images = sorted(topic for topic, msgtype in topics.items() if msgtype in IMAGE_TYPES)
    listed = (
        f'image topics: {", ".join(images)}'
        if images
        else (f'no image topic is in it, only {", ".join(sorted(topics)) or "nothing"}')
    )
    if wanted is not None:
        for name in (wanted, '/' + wanted):
            if name in images:
                return name
        if wanted in topics:
            raise SourceError(f'{path}: {wanted} is a {topics[wanted]}, no image; {listed}')
        raise SourceError(f'{path}: there is no topic {wanted}; {listed}')
    if len(images) == 1:
        return images[0]
    if images:
        raise SourceError(f'{path}: choose one with --topic; {listed}')
    raise SourceError(f'{path}: {listed}')


def storages_of(path: Path) -> list[Path]:
    """The storage files of a bag in the order they were written."""
    if path.is_file():
        return [path]
    found = (member for member in path.iterdir() if member.suffix.lower() in BAG_SUFFIXES)
    return sorted(found, key=lambda member: natural_key(member.name))
