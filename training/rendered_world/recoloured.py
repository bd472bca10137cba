# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes with things that no model has seen: what learning from own recordings is tried on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.episode import Narration
from vlo_ros.rendered_world.script import Thing
from vlo_ros.rendered_world.vocabulary import COLOURS

# Colours that no training episode has, and words that none says.
NEW_COLOURS: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    'green': ('orange', (240, 120, 10)),
    'blue': ('brown', (110, 62, 28)),
    'white': ('pink', (245, 140, 190)),
}


class RecolouredEpisode(Episode):
    """An episode whose things have new colours with new names."""

    @property
    def things(self) -> tuple[Thing, ...]:
        """What exists, in the new colours."""
        return tuple(
            replace(thing, rgb=NEW_COLOURS[COLOURS[thing.colour]][1])
            if COLOURS[thing.colour] in NEW_COLOURS
            else thing
            for thing in super().things
        )

    def narrations(self, start: float, end: float) -> list[Narration]:
        """What becomes visible, in the new words."""

        def renamed(text: str) -> str:
            return re.sub(
                rf'\b({"|".join(NEW_COLOURS)})\b', lambda found: NEW_COLOURS[found[0]][0], text
            )

        return [
            replace(one, text=renamed(one.text), ego4d_text=renamed(one.ego4d_text))
            for one in super().narrations(start, end)
        ]
