# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes an episode as an mp4 file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av

from vlo_ros.rendered_world.episode import Episode


def write_mp4(
    path: Path, episode: Episode, seconds: float, size: int, fps: int = 10, start: float = 0.0
) -> None:
    """Write `seconds` of an episode from `start` on.

    Args:
        path: File to write; an existing one is replaced.
        episode: What to show.
        seconds: Length.
        size: Side of the square picture in pixels; must be even.
        fps: Pictures per second of the file.
        start: Where in the episode to begin, in seconds.

    Raises:
        ValueError: The size is odd, which H.264 does not allow.
    """
    if size % 2:
        raise ValueError(f'{path}: size: got {size}, accepted are even numbers')
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=fps)
        stream.width = stream.height = size
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '16'}
        for _, picture in islice(episode.frames(fps, size, start), round(seconds * fps)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())
