# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The story of an episode as a growing list of segments. Knows nothing of pixels.

Time is counted in ticks of 0.1 s. A segment is one movement of one hand (or a walk, or a pause);
its `evidence` tick is the first tick at which the result can be seen, and from that tick on the
world state is `after`. Narrations, labels and answers all follow from that one rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

TICKS_PER_SECOND = 10
SLOT_XY = tuple((x, y) for y in (0.37, 0.61) for x in (0.2, 0.5, 0.8))


@dataclass(frozen=True, slots=True)
class Thing:
    """An object that never changes: what it is and how it looks."""

    kind: int  # index into OBJECT_TYPES
    colour: int  # index into COLOURS; -1: a colour that has no name (tower training only)
    rgb: tuple[int, int, int]
    scale: float
    rotation: float  # radians, at rest
    blob: int = -1  # seed of a shape that has no name (tower training only); -1: drawn as its kind


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a thing is now: in a slot of a station, or in a hand (then slot is -1)."""

    station: int
    slot: int
    hand: int = -1
    is_open: bool = False
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """Everything that can change, at one moment."""

    station: int
    held: tuple[int, int]  # thing index per hand (left, right), -1 for empty
    places: tuple[Placement, ...]

    def move(self, thing: int, place: Placement) -> World:
        """The same world with one thing somewhere else (hands follow)."""
        places = (*self.places[:thing], place, *self.places[thing + 1 :])
        held = tuple(
            thing if place.hand == side else (-1 if self.held[side] == thing else self.held[side])
            for side in (0, 1)
        )
        return World(self.station, (held[0], held[1]), places)

    def walk(self, station: int) -> World:
        """The same world seen from another station; held things come along."""
        places = tuple(replace(p, station=station) if p.hand >= 0 else p for p in self.places)
        return World(station, self.held, places)

    def at_station(self, station: int) -> list[int]:
        """Indices of the things that lie in slots of a station."""
        return [i for i, p in enumerate(self.places) if p.hand < 0 and p.station == station]

    def free_slots(self, station: int) -> list[int]:
        """Slots of a station with nothing in them."""
        taken = {self.places[i].slot for i in self.at_station(station)}
        return [slot for slot in range(len(SLOT_XY)) if slot not in taken]


@dataclass(frozen=True, slots=True)
class Segment:
    """One movement from tick `start` to tick `end` (exclusive)."""

    start: int
    end: int
    action: str  # pause, pick, put, feint, hover, cut, stir, pour, wipe, open, close, walk
    before: World
    after: World
    evidence: int  # tick from which the result is visible; == end when nothing changes
    hand: int = -1
    thing: int = -1  # what the hand moves or uses; for open/close/feint what it touches
    target: int = -1  # what is acted upon with it
    slot: int = -1
    arrive: int = 0  # tick at which the hand has arrived
    leave: int = 0  # tick at which the hand starts to leave
    spot: tuple[float, float] = (0.5, 0.7)  # middle of a wiping movement

    def world_at(self, tick: float) -> World:
        """World state at a tick within this segment."""
        return self.after if tick >= self.evidence else self.before


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became visible: what a narration tells."""

    tick: int
    verb: str
    objects: str
    step: int  # index into Script.steps


@dataclass(slots=True)
class Step:
    """A few events that belong together, within a goal (GoalStep's two levels)."""

    start: int
    end: int
    goal: int
    goal_text: str
    text: str


@dataclass(slots=True)
class Script:
    """What has been written of the story so far."""

    things: tuple[Thing, ...]
    segments: list[Segment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
