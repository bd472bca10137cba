# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GoalStep annotations as lists of steps that a dialogue can be about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.datasets.annotations import Entry, read_json


@dataclass(frozen=True)
class Step:
    """What is done from `start` to `end`, in s."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Outline:
    """Steps towards one goal within a video; `key` names it within its file."""

    uid: str
    key: str
    goal: str
    steps: tuple[Step, ...]


def read_outlines(path: Path) -> Iterator[Outline]:
    """Yield each video's segments, then the parts of every segment that has parts.

    Raises:
        DatasetError: The file is missing or not a GoalStep file.
    """
    for video in read_json(path)['videos']:
        uid = video['video_uid'].text()
        yield from _outlines(video, uid, '', ('goal_description', 'goal_category'))


def _outlines(entry: Entry, uid: str, key: str, names: tuple[str, ...]) -> Iterator[Outline]:
    parts = list(entry.find('segments') or ())
    if not parts:
        return
    steps = tuple(_step(part) for part in parts)
    yield Outline(uid, key or 'video', _text(entry, names), steps)
    for number, part in enumerate(parts):
        inner = f'{key}.{number}' if key else str(number)
        yield from _outlines(part, uid, inner, ('step_description', 'step_category'))


def _step(part: Entry) -> Step:
    start, end = part['start_time'].number(), part['end_time'].number()
    return Step(start, end, _text(part, ('step_description', 'step_category')))


def _text(entry: Entry, names: tuple[str, ...]) -> str:
    for name in names:
        found = entry.find(name)
        if found is not None and found.text().strip():
            return ' '.join(found.text().split())
    return entry[names[0]].text()
