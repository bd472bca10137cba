# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of a bag that was cut off: its messages, front to back, without its index.

Recorders write the index last. Without it MCAP is still a chain of records, and SQLite still a
tree whose pages are there up to the cut.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rosbags.rosbag2.storage_mcap import decompress

from vlo_ros.errors import SourceError

# The MCAP specification: every record is a kind, a length and a content.
MCAP_MAGIC = b'\x89MCAP0\r\n'
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
MAX_CHUNK_BYTES = 1 << 30


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag, still serialised."""

    topic: str
    msgtype: str
    log_ns: int
    data: bytes


def read_remains(storage: Path, topic: str) -> Iterator[BagMessage]:
    """Yield the messages of `topic` that can be read from `storage`, in the order written.

    Raises:
        SourceError: The file ends or breaks before its end.
    """
    if storage.suffix.lower() == '.db3':
        yield from _read_sqlite(storage, topic)
        return
    with storage.open('rb') as file:
        for message in _McapScan(file).messages():
            if message.topic == topic:
                yield message


def topics_of_remains(storage: Path) -> dict[str, str]:
    """Type by topic, of the topics that are named before the file breaks."""
    if storage.suffix.lower() == '.db3':
        try:
            rows = _open_sqlite(storage).execute('SELECT name, type FROM topics').fetchall()
        except sqlite3.Error:
            return {}
        return {str(name): str(msgtype) for name, msgtype in rows}
    with storage.open('rb') as file:
        scan = _McapScan(file)
        try:
            for _ in scan.messages():
                pass
        except Exception:  # of any type; what breaks is told when the messages are read
            pass
        return dict(scan.channels.values())


class _McapScan:
    """Walks the records of an MCAP file.

    Attributes:
        channels: (topic, type) by id, of the channels met so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, str]] = {}

    def messages(self) -> Iterator[BagMessage]:
        """Yield every message; those of one chunk by their time."""
        if self._file.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
            raise SourceError('it does not begin as an MCAP file does')
        for kind, content in _records(self._file):
            if kind in (FOOTER, DATA_END):
                return
            if kind == CHUNK:
                inner = _records(io.BytesIO(_unpack_chunk(content)))
                found = [self._take(*record) for record in inner]
                yield from sorted(
                    (message for message in found if message is not None),
                    key=lambda message: message.log_ns,
                )
            elif (message := self._take(kind, content)) is not None:
                yield message
        raise SourceError('the file is cut off')

    def _take(self, kind: int, content: bytes) -> BagMessage | None:
        """Remember a schema or channel; return a message, if it is one."""
        if kind == SCHEMA:
            (schema_id,) = struct.unpack_from('<H', content)
            self._schemas[schema_id] = _read_text(content, 2)[0]
        elif kind == CHANNEL:
            channel_id, schema_id = struct.unpack_from('<HH', content)
            topic, end = _read_text(content, 4)
            encoding, _ = _read_text(content, end)
            if encoding == 'cdr':
                self.channels[channel_id] = (topic, self._schemas.get(schema_id, ''))
        elif kind == MESSAGE:
            channel_id, _, log_ns = struct.unpack_from('<HIQ', content)
            if channel_id in self.channels:
                return BagMessage(*self.channels[channel_id], log_ns, content[22:])
        return None


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each record; of kinds not used here without the content.

    The last record, if it is cut short, is left out unless it is a chunk.
    """
    start = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(start)
    while len(head := file.read(9)) == 9:
        kind, length = struct.unpack('<BQ', head)
        if length > size - file.tell():
            if kind == CHUNK:
                yield kind, file.read()
            return
        if kind in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
            yield kind, file.read(length)
        else:
            file.seek(length, io.SEEK_CUR)
            yield kind, b''


def _unpack_chunk(content: bytes) -> bytes:
    _, _, num_bytes, checksum = struct.unpack_from('<QQQI', content)
    if num_bytes > MAX_CHUNK_BYTES:
        raise SourceError(f'a chunk of {num_bytes} bytes')
    compression, end = _read_text(content, 28)
    if not compression and len(content) < end + 8 + num_bytes:
        return content[end + 8 :]
    return bytes(decompress(content[end + 8 :], compression, num_bytes, checksum))


def _read_text(content: bytes, start: int) -> tuple[str, int]:
    """Read a text with its length in front; return it and where it ends."""
    (length,) = struct.unpack_from('<I', content, start)
    end = start + 4 + length
    return content[start + 4 : end].decode(), end


def _open_sqlite(storage: Path) -> sqlite3.Connection:
    uri = f'{storage.resolve().as_uri()}?immutable=1'
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    # Without this SQLite refuses a file that is shorter than its header says.
    connection.execute('PRAGMA writable_schema=ON')
    return connection


def _read_sqlite(storage: Path, topic: str) -> Iterator[BagMessage]:
    connection = _open_sqlite(storage)
    try:
        # An index may lie behind the cut, so the table itself is read.
        yield from (
            BagMessage(topic, msgtype, log_ns, data)
            for msgtype, log_ns, data in connection.execute(
                'SELECT topics.type, timestamp, data FROM messages NOT INDEXED '
                'CROSS JOIN topics ON topics.id = topic_id WHERE name = ? ORDER BY messages.id',
                (topic,),
            )
        )
    finally:
        connection.close()
