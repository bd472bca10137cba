# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the story: chooses goals, steps and movements, for as long as anyone asks for more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vlo_ros.rendered_world import vocabulary as words
from vlo_ros.rendered_world.script import Event, Script, Segment, Step, World

_KIND = {name: i for i, name in enumerate(words.OBJECT_TYPES)}
_GOALS = {  # goal: how often each step is tried
    'Prepare some food': {'cut': 5, 'stir': 2, 'pour': 1, 'lid': 1, 'carry': 1},
    'Make a drink': {'pour': 5, 'stir': 2, 'lid': 2, 'carry': 1},
    'Clean up': {'wipe': 3, 'carry': 4, 'lid': 2},
    'Put things away': {'carry': 4, 'lid': 3, 'wipe': 1},
}


def _kinds(names: tuple[str, ...]) -> frozenset[int]:
    return frozenset(_KIND[name] for name in names)


class Writer:
    """Extends one script. The same seed always writes the same story, in any number of calls."""

    def __init__(self, script: Script, world: World, rng: np.random.Generator) -> None:
        self.script = script
        self.world = world
        self.tick = 0
        self._rng = rng
        self._goal = ''
        self._goal_index = -1
        self._steps_left = 0
        self._step_names: dict[str, Callable[[], str]] = {
            'carry': self._carry, 'cut': self._cut, 'stir': self._stir, 'pour': self._pour,
            'wipe': self._wipe, 'lid': self._lid,
        }  # fmt: skip
        self._pause(5, 15)

    def write_until(self, tick: int) -> None:
        """Write whole steps until the story reaches beyond a tick."""
        while self.tick <= tick:
            self._write_step()

    def _write_step(self) -> None:
        rng = self._rng
        if self._steps_left == 0:
            self._goal = list(_GOALS)[rng.integers(len(_GOALS))]
            self._goal_index += 1
            self._steps_left = int(rng.integers(3, 6))
        self._steps_left -= 1
        weights = _GOALS[self._goal]
        names = list(weights)
        odds = np.array([weights[name] for name in names], dtype=float)
        start, index = self.tick, len(self.script.events)
        name = names[rng.choice(len(names), p=odds / odds.sum())]
        text = self._step_names[name]() or self._carry()
        if len(self.script.events) == index:  # nothing could be done here: go elsewhere
            text = self._walk_anywhere()
        self.script.steps.append(Step(start, self.tick, self._goal_index, self._goal, text))

    # ---- names -----------------------------------------------------------------------------

    def _name(self, thing: int) -> str:
        it = self.script.things[thing]
        return f'the {words.COLOURS[it.colour]} {words.OBJECT_TYPES[it.kind]}'

    def _kind_of(self, thing: int) -> int:
        return self.script.things[thing].kind

    # ---- movements --------------------------------------------------------------------------

    def _int(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high))

    def _add(self, segment: Segment, verb: str = '', objects: str = '') -> None:
        self.script.segments.append(segment)
        self.world = segment.after
        self.tick = segment.end
        if verb:
            event = Event(segment.evidence, verb, objects, len(self.script.steps))
            self.script.events.append(event)

    def _still(self, action: str, length: int, **more: object) -> None:
        """A movement that changes nothing."""
        start, end = self.tick, self.tick + length
        self._add(Segment(start, end, action, self.world, self.world, end, **more))  # type: ignore[arg-type]

    def _pause(self, low: int = 3, high: int = 12) -> None:
        self._still('pause', self._int(low, high))
        draw = self._rng.random()
        hands = [side for side in (0, 1) if self.world.held[side] < 0]
        if draw < 0.06 and hands and self.world.at_station(self.world.station):
            thing = self._pick_one(self.world.at_station(self.world.station))
            hand, arrive = hands[self._int(0, len(hands))], self.tick + self._int(5, 8)
            leave = arrive + self._int(2, 5)
            length = leave + 5 - self.tick
            self._still('feint', length, hand=hand, thing=thing, arrive=arrive, leave=leave)
            self._still('pause', self._int(3, 8))
        elif 0.06 <= draw < 0.12 and len(hands) < 2 and self.world.free_slots(self.world.station):
            hand = self._pick_one([side for side in (0, 1) if self.world.held[side] >= 0])
            slot = self._pick_one(self.world.free_slots(self.world.station))
            arrive = self.tick + self._int(5, 8)
            leave = arrive + self._int(1, 4)
            self._still(
                'hover', leave + 5 - self.tick, hand=hand, thing=self.world.held[hand],
                slot=slot, arrive=arrive, leave=leave,
            )  # fmt: skip
            self._still('pause', self._int(3, 8))

    def _pick_one(self, options: list[int]) -> int:
        return options[self._int(0, len(options))]

    def _pick(self, thing: int, hand: int) -> None:
        arrive = self.tick + self._int(4, 9)
        leave = arrive + 2
        evidence = leave + 3
        place = replace(self.world.places[thing], slot=-1, hand=hand)
        segment = Segment(
            self.tick, evidence + 5, 'pick', self.world, self.world.move(thing, place), evidence,
            hand=hand, thing=thing, slot=self.world.places[thing].slot, arrive=arrive, leave=leave,
        )  # fmt: skip
        self._add(segment, 'pick up', self._name(thing))
        self._pause()

    def _put(self, hand: int, slot: int) -> None:
        thing = self.world.held[hand]
        arrive = self.tick + self._int(4, 8)
        leave = arrive + 2
        evidence = leave + 2
        place = replace(self.world.places[thing], slot=slot, hand=-1)
        segment = Segment(
            self.tick, evidence + 5, 'put', self.world, self.world.move(thing, place), evidence,
            hand=hand, thing=thing, slot=slot, arrive=arrive, leave=leave,
        )  # fmt: skip
        self._add(segment, 'put down', self._name(thing))
        self._pause()

    def _use(
        self, action: str, hand: int, target: int, after: World, verb: str, objects: str
    ) -> None:
        """Work on a target with what the hand holds, unless that is what was done last."""
        done = self.script.events[-1:]
        if done and (done[0].verb, done[0].objects) == (verb, objects):
            return
        arrive = self.tick + self._int(5, 9)
        evidence = arrive + 2
        leave = evidence + self._int(12, 26)
        spot = (float(self._rng.uniform(0.36, 0.64)), float(self._rng.uniform(0.62, 0.74)))
        segment = Segment(
            self.tick, leave + 5, action, self.world, after, evidence, hand=hand,
            thing=self.world.held[hand], target=target, arrive=arrive, leave=leave, spot=spot,
        )  # fmt: skip
        self._add(segment, verb, objects)
        self._pause()

    def _walk(self, station: int) -> None:
        end = self.tick + self._int(11, 17)
        segment = Segment(self.tick, end + 3, 'walk', self.world, self.world.walk(station), end)
        self._add(segment, 'walk to', f'the {words.STATIONS[station]}')
        self._pause(5, 12)

    # ---- steps ------------------------------------------------------------------------------

    def _walk_anywhere(self) -> str:
        others = [s for s in range(len(words.STATIONS)) if s != self.world.station]
        station = self._pick_one(others)
        self._walk(station)
        return f'Go to the {words.STATIONS[station]}'

    def _free_hand(self) -> int:
        """A hand that is free, putting something down if need be; -1 without room."""
        hands = [side for side in (0, 1) if self.world.held[side] < 0]
        if hands:
            return self._pick_one(hands)
        slots = self.world.free_slots(self.world.station)
        if not slots:
            return -1
        hand = self._int(0, 2)
        self._put(hand, self._pick_one(slots))
        return hand

    def _take(self, kinds: frozenset[int]) -> int:
        """Get hold of a thing of some kinds, walking if need be; the hand, or -1."""
        for side in (0, 1):
            if self.world.held[side] >= 0 and self._kind_of(self.world.held[side]) in kinds:
                return side
        here = [i for i in self.world.at_station(self.world.station) if self._kind_of(i) in kinds]
        far = [
            i for i, p in enumerate(self.world.places) if p.hand < 0 and self._kind_of(i) in kinds
        ]
        if not (here or far):
            return -1
        hand = self._free_hand()
        if hand < 0:
            return -1
        thing = self._pick_one(here or far)
        if not here:
            self._walk(self.world.places[thing].station)
        self._pick(thing, hand)
        return hand

    def _go_where(self, kinds: frozenset[int], avoid: int = -1) -> int:
        """Stand where a thing of some kinds lies, walking if need be; the thing, or -1."""
        lying = [
            i for i, p in enumerate(self.world.places)
            if p.hand < 0 and self._kind_of(i) in kinds and i != avoid
        ]  # fmt: skip
        here = [i for i in lying if self.world.places[i].station == self.world.station]
        if not lying:
            return -1
        thing = self._pick_one(here or lying)
        if not here:
            self._walk(self.world.places[thing].station)
        return thing

    def _maybe_put(self, hand: int, odds: float) -> None:
        slots = self.world.free_slots(self.world.station)
        if slots and self._rng.random() < odds:
            self._put(hand, self._pick_one(slots))

    def _carry(self) -> str:
        here = self.world.at_station(self.world.station)
        holding = [side for side in (0, 1) if self.world.held[side] >= 0]
        if len(holding) < 2 and here and (not holding or self._rng.random() < 0.5):
            hand, thing = self._free_hand(), self._pick_one(here)
            self._pick(thing, hand)
        elif holding:
            hand = self._pick_one(holding)
            thing = self.world.held[hand]
        else:
            return ''
        if self._rng.random() < 0.35 or not self.world.free_slots(self.world.station):
            self._walk_anywhere()
        self._maybe_put(hand, 0.85)
        return f'Move {self._name(thing)}'

    def _cut(self) -> str:
        hand = self._take(_kinds(('knife',)))
        if hand < 0:
            return ''
        target = self._go_where(_kinds(words.FOODS))
        if target < 0:
            return ''
        place = replace(self.world.places[target], is_cut=True)
        self._use('cut', hand, target, self.world.move(target, place), 'cut', self._name(target))
        self._maybe_put(hand, 0.5)
        return f'Cut {self._name(target)}'

    def _stir(self) -> str:
        hand = self._take(_kinds(('spoon',)))
        if hand < 0:
            return ''
        target = self._go_where(_kinds(words.STIRRED))
        if target < 0 or not self._ensure_open(target):
            return ''
        self._use('stir', hand, target, self.world, 'stir', self._name(target))
        self._maybe_put(hand, 0.5)
        return f'Stir {self._name(target)}'

    def _pour(self) -> str:
        hand = self._take(_kinds(words.POURERS))
        if hand < 0:
            return ''
        thing = self.world.held[hand]
        target = self._go_where(_kinds(words.RECEIVERS), avoid=thing)
        if target < 0 or not self._ensure_open(target):
            return ''
        objects = f'{self._name(thing)} into {self._name(target)}'
        self._use('pour', hand, target, self.world, 'pour', objects)
        self._maybe_put(hand, 0.6)
        return f'Fill {self._name(target)}'

    def _wipe(self) -> str:
        hand = self._take(_kinds(('sponge',)))
        if hand < 0:
            return ''
        if self._rng.random() < 0.4:
            self._walk_anywhere()
        place = f'the {words.STATIONS[self.world.station]}'
        self._use('wipe', hand, -1, self.world, 'wipe', place)
        self._maybe_put(hand, 0.5)
        return f'Wipe {place}'

    def _lid(self) -> str:
        here = [
            i for i in self.world.at_station(self.world.station)
            if self._kind_of(i) in _kinds(words.LIDDED)
        ]  # fmt: skip
        if not here:
            return ''
        thing = self._pick_one(here)
        was_open = self.world.places[thing].is_open
        if not self._turn_lid(thing):
            return ''
        return f'{"Close" if was_open else "Open"} {self._name(thing)}'

    def _ensure_open(self, thing: int) -> bool:
        if self._kind_of(thing) not in _kinds(words.LIDDED) or self.world.places[thing].is_open:
            return True
        return self._turn_lid(thing)

    def _turn_lid(self, thing: int) -> bool:
        """Open what is closed and close what is open, with a free hand."""
        if -1 not in self.world.held:
            return False
        hand = self._pick_one([side for side in (0, 1) if self.world.held[side] < 0])
        place = self.world.places[thing]
        arrive = self.tick + self._int(5, 9)
        evidence = arrive + 3
        leave = evidence + self._int(8, 12)
        verb = 'close' if place.is_open else 'open'
        after = self.world.move(thing, replace(place, is_open=not place.is_open))
        segment = Segment(
            self.tick, leave + 5, verb, self.world, after, evidence, hand=hand, thing=thing,
            target=thing, slot=place.slot, arrive=arrive, leave=leave,
        )  # fmt: skip
        self._add(segment, verb, self._name(thing))
        self._pause()
        return True
