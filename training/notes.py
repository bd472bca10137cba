# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person noted while watching a recording, as a conversation to learn from.

Notes are a topic of std_msgs/String in the bag, or a csv: `time,text` or `time,question,text`
with a header line; times are seconds from the first frame, or of the clock that stamps frames.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from training.datasets.sample import Message, assistant, stream, user
from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import peek_header
from vlo_ros.sources.bag import IMAGE_TYPES

STRING = 'std_msgs/msg/String'
# Later than this, s, a time is one of the clock and not counted from the first frame.
CLOCK_S = 1e8
SAME_CLOCK_S = 1.0


@dataclass(frozen=True)
class Note:
    """A sentence that was true at `stamp_ns`; with a question, the answer to it."""

    stamp_ns: int
    text: str
    question: str = ''


def read_csv(path: Path, first_frame_ns: int) -> list[Note]:
    """Read notes from a csv.

    Args:
        path: The file.
        first_frame_ns: Stamp of the recording's first frame.

    Raises:
        SourceError: The file cannot be read, or a line is not a note.
    """
    notes = []
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            if not {'time', 'text'} <= set(columns) <= {'time', 'text', 'question'}:
                raise SourceError(
                    f'{path}: the first line must name the columns time, text and perhaps question'
                )
            reader.fieldnames = columns
            for row in reader:
                notes.append(_note_of(row, f'{path} line {reader.line_num}', first_frame_ns))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f'{path}: {one_line(error)}') from error
    return sorted(notes, key=lambda note: note.stamp_ns)


def _note_of(row: Mapping[str, Any], where: str, first_frame_ns: int) -> Note:
    try:
        time_s = float(row['time'])
        text = ' '.join(row['text'].split())
        question = ' '.join((row.get('question') or '').split())
    except (TypeError, ValueError, AttributeError) as error:
        raise SourceError(f'{where}: expected a time in seconds and a text') from error
    if not math.isfinite(time_s) or not text or None in row:
        raise SourceError(f'{where}: expected a time in seconds and a text')
    start_ns = 0 if time_s > CLOCK_S else first_frame_ns
    return Note(start_ns + round(time_s * NS_PER_S), text, question)


def read_topic(bag: Path, topic: str) -> list[Note]:
    """Read notes from a bag's String topic.

    A String has no stamp: the time of recording counts, moved by what images took from stamp to
    recording where the two run on different clocks.

    Raises:
        SourceError: The bag cannot be read, or has no such topic.
    """
    store = get_typestore(Stores.LATEST)
    try:
        with Reader(bag) as reader:
            wanted = [c for c in reader.connections if c.topic in (topic, f'/{topic}')]
            if not wanted or wanted[0].msgtype != STRING:
                strings = sorted(c.topic for c in reader.connections if c.msgtype == STRING)
                found = ', '.join(strings) or 'none'
                raise SourceError(f'{bag}: no {STRING} topic {topic}; of that type: {found}')
            offset_ns = _clock_offset(reader)
            notes = []
            for connection, log_ns, data in reader.messages(connections=wanted):
                message: Any = store.deserialize_cdr(data, connection.msgtype)
                text = ' '.join(message.data.split())
                if text:
                    notes.append(Note(log_ns - offset_ns, text))
    except SourceError:
        raise
    except Exception as error:  # what a damaged file makes of a parser has no one type
        raise SourceError(f'{bag}: notes cannot be read: {one_line(error)}') from error
    return sorted(notes, key=lambda note: note.stamp_ns)


def _clock_offset(reader: Reader) -> int:
    """Time of recording less header stamp of images, ns; 0 where it is the same clock."""
    images = [c for c in reader.connections if c.msgtype in IMAGE_TYPES]
    for _, log_ns, data in itertools.islice(reader.messages(connections=images), 1):
        stamp_ns, _ = peek_header(bytes(data))
        offset_ns = log_ns - stamp_ns if stamp_ns else 0
        return offset_ns if abs(offset_ns) > SAME_CLOCK_S * NS_PER_S else 0
    return 0


def place_notes(
    notes: Sequence[Note], stamps_ns: torch.Tensor, delay_s: float = 0.0
) -> tuple[dict[int, Note], int]:
    """Give every note the first frame at or after it.

    Args:
        notes: In order of time.
        stamps_ns: Capture time of each frame.
        delay_s: How much later than the event people noted it.

    Returns:
        Frame index -> note, and how many notes found no frame of their own: those behind the last
        frame, and all but the last of several for one frame.
    """
    placed: dict[int, Note] = {}
    times_ns = np.array([note.stamp_ns for note in notes], dtype=np.int64)
    times_ns -= round(delay_s * NS_PER_S)
    frames = np.searchsorted(stamps_ns.numpy(), times_ns - NS_PER_S // 1000)
    for frame, note in zip(frames.tolist(), notes, strict=True):
        if 0 < frame < len(stamps_ns):
            placed[frame] = note
    return placed, len(notes) - len(placed)


def converse(placed: Mapping[int, Note], first: int, end: int, instruction: str) -> list[Message]:
    """The conversation of the frames [first, end): silence, but for what was noted.

    What a frame before `first` or the first one itself called for is left out, and after the last
    one nobody knows what follows.
    """
    conversation = [stream(1, False), user(instruction)]
    told = first + 1
    for frame in sorted(frame for frame in placed if first < frame < end):
        note, count = placed[frame], frame - told + 1
        if note.question:
            # Nothing in a frame tells that somebody is about to ask.
            conversation += [stream(count, count - 1), user(note.question), assistant(note.text)]
        else:
            conversation += [stream(count, True), assistant(note.text)]
        told = frame + 1
    if told < end:
        conversation.append(stream(end - told, end - told - 1))
    return conversation
