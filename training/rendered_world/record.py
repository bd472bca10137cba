"""Episodes as bags with notes, for trying what your own recordings go through.

python -m training.rendered_world.record --seed 7 --split pairs --seconds 180 --output BAG
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.bag import write_bag
from vlo_ros.rendered_world.episode import Narration
from vlo_ros.rendered_world.script import Thing
from vlo_ros.rendered_world.vocabulary import COLOURS, SPLITS

# Colours that no training episode has, and words that none says.
NEW_COLOURS: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    'green': ('orange', (240, 120, 10)),
    'blue': ('brown', (110, 62, 28)),
    'white': ('pink', (245, 140, 190)),
}


class RecolouredEpisode(Episode):
    """An episode with things that no model has seen: in new colours with new names."""

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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--split', choices=SPLITS, default='pairs')
    parser.add_argument('--seconds', type=float, default=120.0)
    parser.add_argument(
        '--new-colours', action='store_true', help='things in colours that no training has'
    )
    parser.add_argument('--size', type=int, default=96, help='side of the picture in pixels')
    parser.add_argument('--output', type=Path, required=True, help='folder of the bag')
    args = parser.parse_args()
    episode = (RecolouredEpisode if args.new_colours else Episode)(args.seed, args.split)
    write_bag(args.output, episode, args.seconds, args.size)


if __name__ == '__main__':
    main()
