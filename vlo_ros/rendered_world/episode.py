# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One episode: pictures, narrations, state, steps and questions at any time, from a seed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world import vocabulary as words
from vlo_ros.rendered_world.drawing import render
from vlo_ros.rendered_world.furnish import furnish
from vlo_ros.rendered_world.look import Look
from vlo_ros.rendered_world.questions import Question, questions_at
from vlo_ros.rendered_world.script import TICKS_PER_SECOND, Event, Script, Segment, Step, Thing
from vlo_ros.rendered_world.textures import Picture
from vlo_ros.rendered_world.writer import Writer


@dataclass(frozen=True, slots=True)
class Narration:
    """What can be seen to have happened, at the first moment it can be seen."""

    time: float  # seconds
    text: str  # 'You pick up the red cup.'
    ego4d_text: str  # '#C C picks up the red cup'


@dataclass(frozen=True, slots=True)
class State:
    """The true state at one moment, in words."""

    time: float  # seconds
    station: str
    action: str  # one of vocabulary.ACTIONS; what can be seen to be under way
    held: tuple[str, str]  # 'the red cup' per hand (left, right), '' for an empty hand
    target: str  # what is acted upon, '' for nothing
    visible_colours: dict[str, list[str]]  # object type -> colours of the ones in view or in hand
    last_event: Event | None


class Episode:
    """An endless story told by a seed.

    Args:
        seed: Any non-negative integer. The same seed and split always give the same episode.
        split: One of vocabulary.SPLITS. Different splits share no episode; 'background' has table
            textures, and 'pairs' object x colour pairs, that no other split has.
        nameless: Half of the things get colours without a name (for training a vision tower).
    """

    def __init__(self, seed: int, split: str = 'train', nameless: bool = False) -> None:
        if split not in words.SPLITS:
            raise ValueError(f'split: got {split!r}, accepted are {", ".join(words.SPLITS)}')
        if seed < 0:
            raise ValueError(f'seed: got {seed}, accepted are integers from 0')
        self.seed, self.split = seed, split
        key = (words.SPLITS.index(split), seed)
        kinds = words.HELD_OUT_TEXTURES if split == 'background' else words.TRAIN_TEXTURES
        self._look = Look.draw(np.random.default_rng((*key, 1)), key, kinds)
        things, world = furnish(np.random.default_rng((*key, 2)), split, nameless)
        self._script = Script(things)
        self._writer = Writer(self._script, world, np.random.default_rng((*key, 3)))
        self._starts: list[int] = []

    # ---- the story --------------------------------------------------------------------------

    @property
    def things(self) -> tuple[Thing, ...]:
        """What exists in this episode."""
        return self._script.things

    @property
    def tables(self) -> tuple[str, ...]:
        """Kind of table texture at each station."""
        return self._look.texture

    def segment_at(self, time: float) -> Segment:
        """The movement under way at a time (seconds)."""
        tick = max(time, 0.0) * TICKS_PER_SECOND
        self._writer.write_until(int(tick) + 1)
        segments = self._script.segments
        self._starts += [segment.start for segment in segments[len(self._starts) :]]
        return segments[bisect_right(self._starts, tick + 1e-6) - 1]

    def events(self, start: float, end: float) -> list[Event]:
        """What became visible in start <= time < end (seconds)."""
        self._writer.write_until(int(end * TICKS_PER_SECOND) + 1)
        low, high = start * TICKS_PER_SECOND - 1e-6, end * TICKS_PER_SECOND - 1e-6
        return [event for event in self._script.events if low <= event.tick < high]

    def narrations(self, start: float, end: float) -> list[Narration]:
        """Narrations of start <= time < end (seconds)."""
        return [
            Narration(
                event.tick / TICKS_PER_SECOND,
                words.sentence(event.verb, event.objects, 'you'),
                words.sentence(event.verb, event.objects, 'ego4d'),
            )
            for event in self.events(start, end)
        ]

    def steps(self, end: float) -> list[Step]:
        """Steps that begin before a time (seconds); starts and ends are in ticks of 0.1 s."""
        self._writer.write_until(int(end * TICKS_PER_SECOND) + 1)
        return [step for step in self._script.steps if step.start < end * TICKS_PER_SECOND]

    def name(self, thing: int) -> str:
        """'the red cup' for a thing's index; '' for -1."""
        if thing < 0:
            return ''
        it = self.things[thing]
        return f'the {words.COLOURS[it.colour]} {words.OBJECT_TYPES[it.kind]}'

    def state_at(self, time: float) -> State:
        """The true state at a time (seconds)."""
        segment = self.segment_at(time)
        tick = time * TICKS_PER_SECOND + 1e-6
        world = segment.world_at(tick)
        under_way = segment.action in words.ACTIONS and segment.evidence <= tick < segment.leave
        walking = segment.action == 'walk' and tick < segment.evidence
        action = 'walk' if walking else (segment.action if under_way else 'none')
        visible: dict[str, list[str]] = {}
        for i, place in enumerate(world.places):
            if place.hand >= 0 or place.station == world.station:
                kind = words.OBJECT_TYPES[self.things[i].kind]
                visible.setdefault(kind, []).append(words.COLOURS[self.things[i].colour])
        last = [event for event in self._script.events if event.tick <= tick]
        return State(
            time=time,
            station=words.STATIONS[world.station],
            action=action,
            held=(self.name(world.held[0]), self.name(world.held[1])),
            target=self.name(segment.target) if under_way else '',
            visible_colours=visible,
            last_event=last[-1] if last else None,
        )

    def questions(self, time: float) -> list[Question]:
        """Every question with one true answer at a time (seconds)."""
        return questions_at(self, time)

    # ---- pictures ---------------------------------------------------------------------------

    def camera(self, time: float) -> NDArray[np.float64]:
        """View to picture coordinates 0..1 at a time (seconds), standing still: (2, 3)."""
        return self._look.camera.matrix(time * TICKS_PER_SECOND + 1e-6, 1, 0.0)

    def frame(self, time: float, size: int) -> Picture:
        """The picture at a time (seconds): (size, size, 3) uint8 RGB."""
        segment = self.segment_at(time)
        return render(self._look, self.things, segment, time * TICKS_PER_SECOND + 1e-6, size)

    def frames(self, fps: float, size: int, start: float = 0.0) -> Iterator[tuple[float, Picture]]:
        """Endless (time, picture) pairs: frame i shows time start + i / fps (seconds)."""
        index = 0
        while True:
            time = start + index / fps
            yield time, self.frame(time, size)
            index += 1
