# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stretch of an episode as a stream conversation: frames, narrations, questions and answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.datasets.ego4d_refined_narration_stream import INSTRUCTIONS
from training.datasets.sample import Message, assistant, stream, user
from vlo_ros.rendered_world import Episode, Question
from vlo_ros.rendered_world.script import TICKS_PER_SECOND

QUESTION_ODDS = {'holding': 0.35, 'last': 0.25, 'colour': 0.25, 'place': 0.15}
# Colours must be looked up among what lies there, which takes the most practice.
PRACTICE_ODDS = {'holding': 0.4, 'last': 0.07, 'colour': 0.45, 'place': 0.08}
MAX_DRILLED = 7


@dataclass(frozen=True)
class Stretch:
    """What a conversation is about.

    start: seconds; frame k of the stretch shows start + k / fps. The frame is the unit of
    everything that is said: a narration belongs to the first frame at or after its evidence.
    """

    start: float
    num_frames: int
    fps: float = 2.0

    def time(self, index: int) -> float:
        """Time of a frame (seconds)."""
        return self.start + index / self.fps

    def frame_of(self, time: float) -> int:
        """The first frame at or after a time (seconds)."""
        return math.ceil((time - self.start) * self.fps - 1e-6)


def narrations_by_frame(episode: Episode, stretch: Stretch) -> dict[int, str]:
    """Frame index -> what is to be said after it."""
    end = stretch.time(stretch.num_frames - 1)
    found = {}
    for narration in episode.narrations(stretch.start + 1e-3, end + 1 / TICKS_PER_SECOND):
        index = stretch.frame_of(narration.time)
        if 0 < index < stretch.num_frames:
            found[index] = narration.text
    return found


def draw_questions(
    episode: Episode,
    stretch: Stretch,
    every_s: float,
    rng: np.random.Generator,
    said: dict[int, str],
    odds_of: Mapping[str, float] = QUESTION_ODDS,
) -> dict[int, Question]:
    """Frame index -> a question asked right after it, about every `every_s` seconds.

    Never where a narration is due; 'last' only where something was narrated within the stretch.
    """
    found: dict[int, Question] = {}
    index = 1 + int(rng.integers(1, max(2, round(every_s * stretch.fps))))
    while index < stretch.num_frames - 1:
        if index not in said:
            options = episode.questions(stretch.time(index))
            if not any(frame < index for frame in said):
                options = [q for q in options if q.kind != 'last']
            kinds = sorted({q.kind for q in options})
            if kinds:
                odds = np.array([odds_of[kind] for kind in kinds])
                kind = kinds[int(rng.choice(len(kinds), p=odds / odds.sum()))]
                same = [q for q in options if q.kind == kind]
                found[index] = same[int(rng.integers(len(same)))]
        index += 1 + int(rng.exponential(every_s * stretch.fps))
    return found


def converse(
    episode: Episode,
    stretch: Stretch,
    rng: np.random.Generator,
    question_every_s: float = 10.0,
    odds_of: Mapping[str, float] = QUESTION_ODDS,
) -> list[Message]:
    """The conversation of a stretch: an instruction after the first frame, then the stream.

    A frame after which the user speaks is not learned: nothing is decided there.
    """
    said = narrations_by_frame(episode, stretch)
    asked: dict[int, list[Question]] = {}
    if question_every_s:
        drawn = draw_questions(episode, stretch, question_every_s, rng, said, odds_of)
        asked = {index: [question] for index, question in drawn.items()}
    return _write_down(stretch, said, asked, rng)


def drill(
    episode: Episode, stretch: Stretch, rng: np.random.Generator, every: int = 3
) -> list[Message]:
    """The same with everything asked at once, up to MAX_DRILLED questions every few frames.

    What differs between the answers about one frame is only what was asked for: that teaches to
    look it up.
    """
    said = narrations_by_frame(episode, stretch)
    asked: dict[int, list[Question]] = {}
    for index in range(2, stretch.num_frames - 1, every):
        options = episode.questions(stretch.time(index)) if index not in said else []
        if not any(frame < index for frame in said):
            options = [q for q in options if q.kind != 'last']
        order = rng.permutation(len(options))[:MAX_DRILLED]
        if len(order):
            asked[index] = [options[int(i)] for i in order]
    return _write_down(stretch, said, asked, rng)


def _write_down(
    stretch: Stretch,
    said: Mapping[int, str],
    asked: Mapping[int, list[Question]],
    rng: np.random.Generator,
) -> list[Message]:
    conversation = [stream(1, False), user(INSTRUCTIONS[int(rng.integers(len(INSTRUCTIONS)))])]
    first = 1
    for index in sorted({*said, *asked}):
        count = index - first + 1
        if index in said:
            conversation += [stream(count, True), assistant(said[index])]
        else:
            conversation.append(stream(count, count - 1 if count > 1 else False))
            for question in asked[index]:
                conversation += [user(question.text), assistant(question.answer)]
        first = index + 1
    if first < stretch.num_frames:
        conversation.append(stream(stretch.num_frames - first, True))
    return conversation
