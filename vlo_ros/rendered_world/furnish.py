# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the things of an episode and where they lie at the start."""

from __future__ import annotations

import numpy as np

from vlo_ros.rendered_world import vocabulary as words
from vlo_ros.rendered_world.script import SLOT_XY, Placement, Thing, World


def furnish(
    rng: np.random.Generator, split: str, nameless: bool
) -> tuple[tuple[Thing, ...], World]:
    """The things of one episode and where they lie at the start.

    Args:
        rng: Source of chance.
        split: 'pairs' uses only the held-out object x colour pairs, the others the rest.
        nameless: Give some things a colour (-1), and others a shape, that has no name.
            It keeps a vision tower from telling colours by shapes and shapes by colours.
    """
    num_types, num_colours = len(words.OBJECT_TYPES), len(words.COLOURS)
    extra = int(rng.integers(4, 7))
    kinds = [*range(num_types), *(int(k) for k in rng.integers(0, num_types, extra))]
    rng.shuffle(kinds)
    stations = [int(s) for s in rng.permutation(len(kinds)) % len(words.STATIONS)]
    slots = [[int(s) for s in rng.permutation(len(SLOT_XY))] for _ in words.STATIONS]
    things: list[Thing] = []
    places = []
    taken: set[tuple[int, int]] = set()
    for kind, station in zip(kinds, stations, strict=True):
        allowed = [
            c for c in range(num_colours)
            if ((kind, c) in words.HELD_OUT_PAIRS) == (split == 'pairs') and (kind, c) not in taken
        ]  # fmt: skip
        if not allowed:  # 'pairs' has one colour per type: no second thing of that type
            continue
        colour = allowed[int(rng.integers(len(allowed)))]
        taken.add((kind, colour))
        rgb = tuple(
            int(v)
            for v in np.clip(np.array(words.COLOUR_RGB[colour]) + rng.integers(-12, 13, 3), 0, 255)
        )
        blob = -1
        if nameless and rng.random() < 0.4:
            colour, rgb = -1, tuple(int(v) for v in rng.integers(0, 256, 3))
        elif nameless and rng.random() < 0.6:
            blob = int(rng.integers(1 << 30))
        things.append(
            Thing(
                kind,
                colour,
                (rgb[0], rgb[1], rgb[2]),
                float(rng.uniform(0.92, 1.1)),
                float(rng.normal(0, 0.1)),
                blob,
            )
        )
        is_open = words.OBJECT_TYPES[kind] in words.LIDDED and bool(rng.random() < 0.4)
        is_cut = words.OBJECT_TYPES[kind] in words.FOODS and bool(rng.random() < 0.3)
        places.append(Placement(station, slots[station].pop(), -1, is_open, is_cut))
    world = World(int(rng.integers(len(words.STATIONS))), (-1, -1), tuple(places))
    return tuple(things), world
