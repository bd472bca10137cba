"""Episodes as bags with notes, for trying what your own recordings go through.

python -m training.rendered_world.record --seed 7 --split pairs --seconds 180 --output BAG
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vlo_ros.events import NS_PER_S
from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.episode import Narration
from vlo_ros.rendered_world.script import Thing
from vlo_ros.rendered_world.vocabulary import COLOURS, SPLITS

IMAGE_TOPIC, NOTES_TOPIC = '/camera/image_raw', '/notes'
START_NS = 1_750_000_000 * NS_PER_S
CAMERA_FPS = 10
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


def write_bag(
    folder: Path, episode: Episode, seconds: float, size: int, start: float = 0.0
) -> None:
    """Write an episode's pictures, and its narrations as std_msgs/String.

    Args:
        folder: The bag; must not exist.
        episode: What to show.
        seconds: Length.
        size: Side of the square picture in pixels.
        start: Where in the episode to begin, in seconds.
    """
    store = get_typestore(Stores.LATEST)
    image_type, text_type = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'
    messages: list[tuple[int, str, Any]] = []
    for number in range(round(seconds * CAMERA_FPS)):
        time_s = number / CAMERA_FPS
        stamp_ns = START_NS + round(time_s * NS_PER_S)
        stamp = store.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, NS_PER_S))
        header = store.types['std_msgs/msg/Header'](stamp, 'camera')
        picture = episode.frame(start + time_s, size)
        image = store.types[image_type](
            header, size, size, 'rgb8', 0, 3 * size, picture.reshape(-1)
        )
        messages.append((stamp_ns, IMAGE_TOPIC, image))
    for narration in episode.narrations(start, start + seconds):
        stamp_ns = START_NS + round((narration.time - start) * NS_PER_S)
        messages.append((stamp_ns, NOTES_TOPIC, store.types[text_type](narration.text)))
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=store)
            for topic, kind in ((IMAGE_TOPIC, image_type), (NOTES_TOPIC, text_type))
        }
        for stamp_ns, topic, message in sorted(messages, key=lambda one: one[:2]):
            data = store.serialize_cdr(message, message.__msgtype__)
            writer.write(connections[topic], stamp_ns, data)


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
