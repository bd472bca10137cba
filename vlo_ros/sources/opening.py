# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds out what kind of recording a name means."""

from __future__ import annotations

from pathlib import Path

from vlo_ros.errors import SourceError
from vlo_ros.sources.recording import BAG_SUFFIXES, Recording

RENDERED = 'rendered:'
ACCEPTED = (
    'a rosbag2 (folder, .mcap, .db3), a video file, a folder of images, a .npz with `frames`, or '
    'rendered:SEED'
)


def open_source(name: str, topic: str | None = None) -> Recording:
    """Open the recording called `name`.

    Args:
        name: Path, or 'rendered:SEED' for the rendered world.
        topic: Image topic of a bag; None takes the only one.

    Raises:
        SourceError: There is no such recording, or it cannot be read.
    """
    path = Path(name).expanduser()
    is_rendered = name.startswith(RENDERED)
    if not is_rendered and not path.exists():
        raise SourceError(f'{name}: no such file or folder; accepted: {ACCEPTED}')
    if not is_rendered and _is_bag(path):
        from vlo_ros.sources.bag import BagRecording

        return BagRecording(path, topic)
    if topic is not None:
        raise SourceError(f'{name}: --topic is for bags, this is none')
    if is_rendered:
        from vlo_ros.sources.rendered import RenderedRecording

        return RenderedRecording(name.removeprefix(RENDERED))
    if path.is_dir():
        from vlo_ros.sources.images import ImagesRecording

        return ImagesRecording(path)
    if path.suffix.lower() == '.npz':
        from vlo_ros.sources.npz import NpzRecording

        return NpzRecording(path)
    from vlo_ros.sources.video import VideoRecording

    return VideoRecording(path)


def _is_bag(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in BAG_SUFFIXES
    return (path / 'metadata.yaml').exists() or any(
        member.suffix.lower() in BAG_SUFFIXES for member in path.iterdir()
    )
