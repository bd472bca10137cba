# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the published folder tree keeps annotations, and what features it has of each video."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.datasets.annotations import DatasetError, Entry, read_json
from training.datasets.sample import BuildOptions

EGO4D = Path('datasets/ego4d/v2')
COIN = Path('datasets/coin')
PUBLISHED_EMBED_MARKS = ('2fps_384_1+3x3', '2fps_384_1')
PUBLISHED_TOWER = 'google--siglip-large-patch16-384'

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video:
    """A video whose features exist.

    Args:
        duration: time of its last frame in s, (frames - 1) / fps.
        features: its feature file, as the metadata file names it.
    """

    duration: float
    features: str


@dataclass
class Videos:
    """The videos of one metadata file; counts those that were asked for in vain.

    Args:
        file: the metadata file.
        known: uid -> video.
        official: a video without features is an error rather than left out.
    """

    file: Path
    known: Mapping[str, Video]
    official: bool
    missing: set[str] = field(default_factory=set)

    def find(self, uid: str, named_by: Entry) -> Video | None:
        """Return a video, or None where no features exist (officially an error)."""
        video = self.known.get(uid)
        if video is None:
            # Corrected: features of a part of the videos are enough to train on that part.
            if self.official:
                raise named_by.error(f'needs video {uid}, which {self.file} does not have')
            self.missing.add(uid)
        return video

    def report(self, what: str) -> None:
        """Log how many videos were left out."""
        if self.missing:
            _LOG.warning(
                '%s: %d video(s) left out for want of features in %s, such as %s',
                what,
                len(self.missing),
                self.file,
                min(self.missing),
            )


def ego4d_annotation(options: BuildOptions, name: str) -> Path:
    """Return the path of an Ego4D annotation file."""
    return options.root / EGO4D / 'annotations' / name


def ego4d_videos(options: BuildOptions) -> Videos:
    """Return the Ego4D videos that have features."""
    return _read_videos(options, options.root / EGO4D, 'full_scale')


def coin_videos(options: BuildOptions) -> Videos:
    """Return the COIN videos that have features."""
    return _read_videos(options, options.root / COIN, 'videos')


def _read_videos(options: BuildOptions, folder: Path, stem: str) -> Videos:
    file = _find_metadata(options, folder, stem)
    known = {}
    for uid, entry in read_json(file).items():
        duration = entry['duration'].number()
        if duration < 0:
            raise entry['duration'].error(f'must not be negative, but is {duration}')
        known[uid] = Video(duration, entry['path'].text())
    return Videos(file, known, options.official)


def _find_metadata(options: BuildOptions, folder: Path, stem: str) -> Path:
    """Return the metadata file of the wanted features, or of the only ones there are."""
    marks = [options.embed_mark] if options.embed_mark else [*PUBLISHED_EMBED_MARKS]
    if not options.embed_mark and options.fps != 2:
        marks.insert(0, f'{options.fps:g}fps_384_1+3x3')
    for mark in marks:
        file = folder / f'{stem}_{mark}_{PUBLISHED_TOWER}_metadata.json'
        if file.is_file():
            return file
    pattern = f'{stem}_{options.embed_mark or ""}*_metadata.json'
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(found) == 1:
        return found[0]
    if found:
        names = ', '.join(path.name for path in found)
        raise DatasetError(f'{folder}: several fit, choose one by its mark: {names}')
    raise DatasetError(
        f'{folder / f"{stem}_{marks[0]}_{PUBLISHED_TOWER}_metadata.json"}: no such metadata file '
        '(video uid -> duration of the features in s, path of the features)'
    )
