# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every builder takes and gives: build options in, samples out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.datasets.annotations import DatasetError
from training.datasets.augmentation import augment
from training.datasets.clipping import clip_frames
from training.datasets.frame_clock import FrameClock, make_clock

# {'role': 'stream', 'num_frames': n, 'learn': bool | int} or {'role': 'user' | 'assistant',
# 'content': text, 'learn': bool}; `learn` k of a stream: its first k frames teach silence.
Message = dict[str, Any]
LoadRanges = dict[str, tuple[int, int]]  # feature file -> first frame, frame after the last


@dataclass(frozen=True)
class BuildOptions:
    """Where the annotations are and how to read them.

    Args:
        root: folder that holds `datasets/ego4d/...` and `datasets/coin/...`.
        split: one of the data set's splits.
        fps: frames per second of the stream.
        official: keep the bugs of the official builders (docs/data.md lists them).
        rng: source of the draws made while building; only `randint` is used.
        embed_mark: which features (such as `2fps_384_1+3x3`); None: the ones that are there.
    """

    root: Path
    split: str = 'train'
    fps: float = 2
    official: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    embed_mark: str | None = None

    @property
    def clock(self) -> FrameClock:
        """The clock that turns annotated times into frames."""
        return make_clock(self.fps, self.official)


@dataclass(frozen=True)
class Sample:
    """One conversation and the frames it is about.

    Args:
        conversation: messages in order, without system prompt and without the drawn instruction.
        load_ranges: feature file -> (first frame, frame after the last).
        instructions: user texts of which `load` draws one; empty where the question is fixed.
        instruction_index: how many messages stand before the drawn instruction.
        generation_prompt: the sample asks for a response; a last assistant message is the
            reference answer, which `load` removes.
        labels: what the data set's metric compares with.
        frames: for frames that are in no feature file: {'shape': [...], 'kind': text}.
    """

    conversation: tuple[Message, ...]
    load_ranges: Mapping[str, tuple[int, int]]
    instructions: tuple[str, ...] = ()
    instruction_index: int = 0
    generation_prompt: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, Any] | None = None

    def load(
        self,
        rng: random.Random,
        *,
        max_num_frames: int | None = None,
        augmentation: bool = False,
        official: bool = False,
    ) -> tuple[list[Message], LoadRanges]:
        """Return the conversation as one epoch trains it, and the frames it needs.

        In this order, as officially: draw the instruction, clip, augment.

        Args:
            rng: source of the draws.
            max_num_frames: longest stream in frames; None: no limit.
            augmentation: put one wrong or missing response into the conversation.
            official: keep the official bugs.
        """
        conversation = [dict(message) for message in self.conversation]
        ranges = dict(self.load_ranges)
        if self.generation_prompt and conversation and conversation[-1]['role'] == 'assistant':
            del conversation[-1]
        if self.instructions:
            self._insert_instruction(conversation, rng)
        if max_num_frames is not None and self.frames is None:
            conversation, ranges = clip_frames(
                conversation, ranges, max_num_frames, official=official
            )
        if augmentation:
            conversation = augment(conversation, rng, official=official)
        return conversation, ranges

    def _insert_instruction(self, conversation: list[Message], rng: random.Random) -> None:
        before = conversation[: self.instruction_index]
        for message in before:  # nobody has asked yet, so there is nothing to be silent about
            if message['num_frames'] != 1:
                raise DatasetError(
                    f'{next(iter(self.load_ranges))}: the stream before the instruction has '
                    f'{message["num_frames"]} frames; exactly 1 is accepted'
                )
            message['learn'] = False
        instruction = {'role': 'user', 'content': rng.choice(self.instructions)}
        conversation.insert(self.instruction_index, instruction)


def stream(num_frames: int, learn: bool | int = True) -> Message:
    """Return a run of frames of which the first `learn` (True: all) are learned."""
    return {'role': 'stream', 'num_frames': num_frames, 'learn': learn}


def user(text: str) -> Message:
    """Return a user turn."""
    return {'role': 'user', 'content': text}


def assistant(text: str, learn: bool = True) -> Message:
    """Return an assistant turn."""
    return {'role': 'assistant', 'content': text, 'learn': learn}


def teaches(conversation: Sequence[Message]) -> bool:
    """Return whether anything in a conversation is learned; else its loss is 0/0.

    Builders keep such samples, as the official ones do: a training loop leaves them out.
    """
    return any(message.get('learn') and message.get('num_frames', 1) for message in conversation)
