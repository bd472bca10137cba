# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings that people took notes of: encoded, notes placed on frames, split for learning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.notes import Note, converse, place_notes, read_csv, read_topic
from training.preprocess.encode import process
from training.preprocess.feature_file import SUFFIX, read_stamps
from training.preprocess.index import write_index
from training.preprocess.jobs import Job, Settings, tower_fingerprint
from training.whole_files import write_json
from vlo_ros.config import VloConfig
from vlo_ros.errors import ConfigError, SourceError

TRAIN_FILE, TEST_FILE = 'train.json', 'test.json'


@dataclass(frozen=True)
class LearnSettings:
    """What `vlo learn` is asked to do.

    Attributes:
        config: The model to begin with.
        output: Folder for everything that is made.
        notes: A csv for each recording; empty takes those beside the recordings, or the topic.
        notes_topic: String topic with notes.
        notes_delay_s: How much later than the event people noted it.
        topic: Image topic.
        holdout: Share of each recording, at its end, that is scored and not learned from.
        steps: Optimizer steps.
        batch: Windows per step.
        window: Frames of a window.
        rank: Of the LoRA weights.
        learning_rate: Peak; 0 chooses by the width of the model.
        threads: CPU threads; 0 leaves it to torch.
        seed: Of everything drawn.
    """

    config: VloConfig
    output: Path
    notes: tuple[Path, ...] = ()
    notes_topic: str = '/notes'
    notes_delay_s: float = 0.0
    topic: str | None = None
    holdout: float = 0.25
    steps: int = 100
    batch: int = 6
    window: int = 64
    rank: int = 32
    learning_rate: float = 0.0
    threads: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.holdout < 1:
            raise ConfigError(f'--holdout: {self.holdout} is not between 0 and 1')


@dataclass(frozen=True)
class Recorded:
    """One encoded recording with its notes placed on frames."""

    job: Job
    path: Path
    num_frames: int
    placed: Mapping[int, Note]
    num_unplaced: int


def encode(jobs: Sequence[Job], settings: LearnSettings) -> list[Recorded]:
    """Encode recordings and read their notes.

    Raises:
        SourceError: A recording cannot be read at all, or has no notes.
    """
    folder = settings.output / 'features'
    folder.mkdir(parents=True, exist_ok=True)
    model = settings.config.model
    how = Settings(
        model,
        folder,
        tower_fingerprint(model),
        settings.config.stream.frame_fps,
        threads=settings.threads,
    )
    recorded = []
    for number, job in enumerate(jobs):
        outcome = process(how, job)
        if outcome.header is None:
            raise SourceError(outcome.damage)
        path = folder / f'{job.uid}{SUFFIX}'
        stamps_ns = read_stamps(path)
        notes = _read_notes(job, number, int(stamps_ns[0]), settings)
        placed, num_unplaced = place_notes(notes, stamps_ns, settings.notes_delay_s)
        if not placed:
            raise SourceError(f'{job.source}: none of its {len(notes)} notes is within its frames')
        recorded.append(Recorded(job, path, len(stamps_ns), placed, num_unplaced))
    write_index(folder, how.fps)
    return recorded


def _read_notes(job: Job, number: int, first_ns: int, settings: LearnSettings) -> list[Note]:
    if settings.notes:
        return read_csv(settings.notes[number], first_ns)
    source = Path(job.source)
    for beside in (source.with_suffix('.csv'), source / 'notes.csv'):
        if beside.is_file():
            return read_csv(beside, first_ns)
    if source.is_dir() or source.suffix in ('.mcap', '.db3'):
        return read_topic(source, settings.notes_topic)
    raise SourceError(f'{source}: no notes; give --notes CSV, or {source.with_suffix(".csv")}')


def split_conversations(
    recorded: Sequence[Recorded],
    test_jobs: set[str],
    settings: LearnSettings,
    instruction: str,
) -> None:
    """Write what is learned and what is scored, as `training.datasets` does.

    Raises:
        SourceError: Nothing would be left to learn from, or to score.
        ConfigError: The folder holds a run that was begun with other conversations.
    """
    train: list[dict[str, Any]] = []
    test: list[dict[str, Any]] = []
    for one in recorded:
        cut = one.num_frames
        if one.job.uid in test_jobs:
            cut = 0
        elif not test_jobs:
            cut = round(one.num_frames * (1 - settings.holdout))
        for first, end, samples in ((0, cut, train), (cut, one.num_frames, test)):
            if sum(first < frame < end for frame in one.placed):
                conversation = converse(one.placed, first, end, instruction)
                samples.append(
                    {'conversation': conversation, 'load_ranges': {str(one.path): [first, end]}}
                )
    for samples, what in ((train, 'learn from'), (test, 'score')):
        if not samples:
            raise SourceError(f'no notes are left to {what}; change --holdout, or give --test')
    for name, samples in ((TRAIN_FILE, train), (TEST_FILE, test)):
        _write_same(settings.output / name, samples)


def _write_same(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write conversations, unless others are there that a run was begun with."""
    if not path.exists():
        write_json(path, samples, indent=1)
    elif json.loads(path.read_text(encoding='utf-8')) != samples:
        raise ConfigError(
            f'{path}: begun with other recordings, notes or holdout; name another --output'
        )
