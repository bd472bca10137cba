# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads stamps: of a message, and of the header of a serialized one and nothing else of it.

A camera sends many more frames than are judged; the others are not worth deserializing.
"""

from __future__ import annotations

import struct
from typing import Any

from vlo_ros.errors import SourceError
from vlo_ros.events import NS_PER_S


def to_ns(stamp: Any) -> int:
    """A Time or Duration message in ns."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def peek_header(serialized: bytes) -> tuple[int, str]:
    """Read stamp (ns) and frame_id of a serialized message that begins with a std_msgs/Header.

    Raises:
        SourceError: The bytes are no CDR with a Header in front.
    """
    # CDR: 4 bytes of encapsulation whose second one tells the byte order, then the fields.
    order = '<' if len(serialized) > 1 and serialized[1] & 1 else '>'
    try:
        seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', serialized, 4)
    except struct.error as error:
        raise SourceError(f'damaged message: {len(serialized)} bytes hold no header') from error
    frame_id = serialized[16 : 16 + length].rstrip(b'\0').decode('utf-8', 'replace')
    return seconds * NS_PER_S + nanoseconds, frame_id
