# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the renderer knows about one picture, as integers a vision tower can be trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world import vocabulary as words
from vlo_ros.rendered_world.pose import THING_RADIUS, pose_at, slot_xy
from vlo_ros.rendered_world.script import TICKS_PER_SECOND

NUM_TYPES, NUM_COLOURS = len(words.OBJECT_TYPES), len(words.COLOURS)
IGNORE = -100
# Number of classes per label of the whole picture; type and colour 0 mean 'nothing'.
GLOBAL_LABELS = {
    'left_type': NUM_TYPES + 1,
    'left_colour': NUM_COLOURS + 1,
    'right_type': NUM_TYPES + 1,
    'right_colour': NUM_COLOURS + 1,
    'action': len(words.ACTIONS),
    'acting_hand': 3,
    'target_type': NUM_TYPES + 1,
    'target_colour': NUM_COLOURS + 1,
    'station': len(words.STATIONS) + 1,  # the last: walking
}
# Labels of one cell of the picture: what lies there.
CELL_LABELS = {'type': NUM_TYPES + 1, 'colour': NUM_COLOURS + 1, 'lid': 3}


@dataclass(slots=True)
class Labels:
    """Labels of one picture.

    Shapes: whole (9,) in the order of GLOBAL_LABELS; pooled (9, 3) for the 3 x 3 tokens and
    patches (P, 3) for the tower's patches, both row by row, in the order of CELL_LABELS.
    """

    whole: NDArray[np.int16]
    pooled: NDArray[np.int16]
    patches: NDArray[np.int16]


def label(episode: Episode, time: float, grid: int) -> Labels:
    """Label the picture of an episode at a time (seconds) for a tower with grid x grid patches."""
    segment = episode.segment_at(time)
    tick = time * TICKS_PER_SECOND + 1e-6
    world = segment.world_at(tick)
    pose = pose_at(segment, tick)
    things = episode.things

    def kind_and_colour(thing: int) -> tuple[int, int]:
        if thing < 0:
            return 0, 0
        colour = things[thing].colour
        kind = IGNORE if things[thing].blob >= 0 else things[thing].kind + 1
        return kind, IGNORE if colour < 0 else colour + 1

    state = episode.state_at(time)
    busy = state.action not in ('none', 'walk')
    walking = state.action == 'walk'
    station = len(words.STATIONS) if walking else world.station
    whole = [
        *kind_and_colour(world.held[0]),
        *kind_and_colour(world.held[1]),
        words.ACTIONS.index(state.action),
        segment.hand + 1 if busy else 0,
        *kind_and_colour(segment.target if busy else -1),
        station,
    ]

    # Middles of everything in sight, in picture coordinates 0..1; the last one drawn is on top.
    camera = episode.camera(time)
    seen: list[tuple[int, float, float]] = []
    if not walking:
        carried = {hand.thing for hand in pose.hands}
        for i, place in enumerate(segment.before.places):
            slot = max(place.slot, segment.after.places[i].slot)
            if place.station == world.station and i not in carried and slot >= 0:
                seen.append((i, *(camera @ (*slot_xy(i, slot), 1.0))))
    for hand in pose.hands:
        if hand.thing >= 0:
            seen.append((hand.thing, *(camera @ (*hand.thing_xy, 1.0))))

    def cell(thing: int) -> tuple[int, int, int]:
        kind, colour = kind_and_colour(thing)
        lid = 0
        if (
            thing >= 0
            and things[thing].blob < 0
            and words.OBJECT_TYPES[things[thing].kind] in words.LIDDED
        ):
            lid = 2 if world.places[thing].is_open else 1
        return kind, colour, lid

    def nearest(cells: int, reach: float) -> NDArray[np.int16]:
        rows = []
        for row in range(cells):
            for column in range(cells):
                x, y = (column + 0.5) / cells, (row + 0.5) / cells
                best, thing = reach, -1
                for i, tx, ty in seen:
                    distance = max(abs(tx - x), abs(ty - y))
                    if distance <= best:
                        best, thing = distance, i
                rows.append(cell(thing))
        return np.array(rows, dtype=np.int16)

    return Labels(
        np.array(whole, dtype=np.int16), nearest(3, 1 / 6), nearest(grid, 0.85 * THING_RADIUS)
    )
