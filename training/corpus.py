# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversations on disk -> examples, drawn by keys so that any of them can be made again."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from training.collate import Example
from training.datasets.augmentation import augment
from training.datasets.clipping import clip_frames
from training.datasets.sample import teaches
from training.features import FeatureStore
from training.recipe import DataRecipe, StageRecipe
from training.timeline import Timeline, timeline_of
from vlo_ros.errors import VloError, one_line
from vlo_ros.page import IGNORE, Rendered
from vlo_ros.template import Template, turns_from


class CorpusError(VloError):
    """Conversations are missing, damaged or teach nothing."""


@dataclass(frozen=True)
class Key:
    """What to draw: the same key always gives the same example.

    Attributes:
        draw: Number of the draw; with the seed it decides everything random.
        index: Conversation; None draws a window from any of them.
        stage: Stage whose windows are drawn.
    """

    draw: int
    index: int | None = None
    stage: int = 0


def read_conversations(paths: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Read the files that `python -m training.datasets` writes.

    Raises:
        CorpusError: A file is missing or is not such a list, or nothing in it is learned.
    """
    samples = []
    for path in paths:
        try:
            content = json.loads(Path(path).read_text(encoding='utf-8'))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CorpusError(f'data.conversations {path}: {one_line(error)}') from error
        if not isinstance(content, list):
            raise CorpusError(f'data.conversations {path}: a list of conversations is expected')
        for number, sample in enumerate(content):
            if not isinstance(sample, Mapping) or not {'conversation', 'load_ranges'} <= set(
                sample
            ):
                raise CorpusError(
                    f"data.conversations {path}: entry {number} lacks 'conversation' "
                    "or 'load_ranges'"
                )
            if teaches(sample['conversation']):
                samples.append({**sample, 'file': Path(path).stem})
    if not samples:
        raise CorpusError(f'data.conversations: nothing to learn in {list(map(str, paths))}')
    return samples


def texts_of(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Everything that is said, as the template writes it: behind a space."""
    for sample in samples:
        for message in sample['conversation']:
            if message['role'] != 'stream':
                yield ' ' + message['content']


class Corpus(Dataset[Example]):
    """Examples by key."""

    def __init__(
        self,
        samples: Sequence[Mapping[str, Any]],
        store: FeatureStore,
        template: Template,
        recipe: DataRecipe,
        stages: Sequence[StageRecipe] = (),
        seed: int = 0,
        features_dim: int = 1024,
    ) -> None:
        """Lay out the conversations.

        Args:
            samples: From `read_conversations`.
            store: Where their features are.
            template: The conversation format.
            recipe: What is done to them.
            stages: Windows to draw; none trains whole conversations.
            seed: Of every draw.
            features_dim: Size of a vision feature, for frames that are in no file.
        """
        self.samples = samples
        self.template = template
        self.stages = stages
        self._store = store
        self._recipe = recipe
        self._seed = seed
        self._features_dim = features_dim
        self._timelines: dict[int, Timeline] = {}
        self._num_frames = [
            sum(message.get('num_frames', 0) for message in sample['conversation'])
            for sample in samples
        ]
        self._frames_before = [self._frames_to_draw(stage) for stage in stages]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> Example:
        """Make the example of a key."""
        rng = random.Random(f'{self._seed} {key}')
        if key.index is None:
            return self._window(rng, key.stage)
        sample = self.samples[key.index]
        conversation, ranges = clip_frames(
            sample['conversation'], sample['load_ranges'], self._recipe.max_num_frames
        )
        if self._recipe.augmentation:
            conversation = augment(conversation, rng)
        if ranges:
            return Example(self._render(conversation), self._features(ranges))
        return Example(self._render(conversation), self._made_up(sample, conversation, rng))

    def num_tokens(self, index: int) -> int:
        """About how many tokens a conversation has: enough to fill rows evenly."""
        per_frame = self.template.frame_num_tokens + len(self.template.interval_ids)
        frames = min(self._num_frames[index], self._recipe.max_num_frames)
        texts = sum(
            8 + len(message.get('content', '')) // 3
            for message in self.samples[index]['conversation']
        )
        return 60 + texts + per_frame * frames

    def _frames_to_draw(self, stage: StageRecipe) -> list[int]:
        """Frames up to each conversation, those of files that the stage leaves out not counted."""
        known = {sample.get('file') for sample in self.samples}
        missing = sorted(set(stage.files) - known)
        if missing:
            accepted = ', '.join(sorted(map(str, known)))
            raise CorpusError(f'stages.files: {missing[0]!r} is not among {accepted}')
        return list(
            itertools.accumulate(
                num if not stage.files or sample['file'] in stage.files else 0
                for num, sample in zip(self._num_frames, self.samples, strict=True)
            )
        )

    def _window(self, rng: random.Random, number: int) -> Example:
        stage = self.stages[number]
        (index,) = rng.choices(range(len(self.samples)), cum_weights=self._frames_before[number])
        if index not in self._timelines:
            self._timelines[index] = timeline_of(self.samples[index]['conversation'])
        timeline = self._timelines[index]
        size = min(stage.window_frames, timeline.num_frames)
        first = rng.randint(0, timeline.num_frames - size)
        conversation = timeline.window(first, size)
        if self._recipe.augmentation:
            conversation = augment(conversation, rng)
        rendered = self._render(conversation)
        per_frame = self.template.frame_num_tokens
        starts = [place for place, flag in enumerate(rendered.is_frame) if flag][::per_frame]
        if stage.unlearned_frames and stage.unlearned_frames < size:
            rendered = _unlearn(rendered, starts[stage.unlearned_frames])
        features = self._features(_slice(self.samples[index]['load_ranges'], first, size))
        gap = rng.randint(0, stage.position_gap)
        positions = None
        if stage.position_gap and size > 1:
            places = range(len(rendered.input_ids))
            positions = [place + gap * (place >= starts[1]) for place in places]
        return Example(rendered, features, positions)

    def _render(self, conversation: Sequence[Mapping[str, Any]]) -> Rendered:
        return self.template.render(turns_from(conversation, self._recipe.system_prompt))

    def _features(self, ranges: Mapping[str, Sequence[int]]) -> torch.Tensor:
        features = self._store.load(ranges)
        return torch.zeros_like(features) if self._recipe.blind else features

    def _made_up(
        self,
        sample: Mapping[str, Any],
        conversation: Sequence[Mapping[str, Any]],
        rng: random.Random,
    ) -> torch.Tensor:
        """Frames that are in no file: noise or black, or none at all (data set robustness)."""
        num_frames = sum(message.get('num_frames', 0) for message in conversation)
        shape = (num_frames, self.template.frame_num_tokens, self._features_dim)
        kind = (sample.get('frames') or {}).get('kind', 'zeros')
        if kind == 'zeros' or self._recipe.blind:
            return torch.zeros(shape)
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        # Officially one vector for all tokens: its shape has no room for frames and tokens.
        drawn = shape if len(sample['frames']['shape']) == 3 else (1, 1, self._features_dim)
        return torch.rand(drawn, generator=generator).expand(shape)


def _slice(
    ranges: Mapping[str, Sequence[int]], first: int, size: int
) -> dict[str, tuple[int, int]]:
    """The part of the files' ranges that holds frames [first, first + size) of them all."""
    parts, passed = {}, 0
    for name, (begin, end) in ranges.items():
        low, high = max(first - passed, 0), min(first + size - passed, end - begin)
        if low < high:
            parts[name] = (begin + low, begin + high)
        passed += end - begin
    return parts


def _unlearn(rendered: Rendered, num_tokens: int) -> Rendered:
    """Ignore the labels in front of a position."""
    labels = [IGNORE] * num_tokens + rendered.labels[num_tokens:]
    return dataclasses.replace(rendered, labels=labels)
