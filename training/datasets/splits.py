# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which Ego4D videos train and which are held out."""

from __future__ import annotations

from collections.abc import Iterable

from training.datasets.annotations import DatasetError, read_json
from training.datasets.layout import ego4d_annotation
from training.datasets.sample import BuildOptions

# Benchmark -> the key of its annotation file that lists objects with a `video_uid`.
BENCHMARKS = {
    'goalstep': 'videos',
    'fho_lta': 'clips',
    'nlq': 'videos',
    'moments': 'videos',
    'av': 'videos',
    'fho_oscc-pnr': 'clips',
    'fho_sta': 'annotations',
    'vq': 'videos',
}


def ego4d_split_uids(options: BuildOptions, uids: Iterable[str], split: str) -> list[str]:
    """Return those of `uids` that belong to a split, in a fixed order.

    A video that any benchmark validates on is `val`; else one that any tests on is `test`; the
    rest is `train`. A list that the official code has cached beside the annotations is believed.

    Args:
        options: where the annotations are.
        uids: video uids.
        split: train, val or test.
    """
    cached = ego4d_annotation(options, f'narration_stream_video_uids_{split}.json')
    if cached.is_file():
        known = set(uids)
        return [uid for uid in (entry.text() for entry in read_json(cached)) if uid in known]
    val = _benchmark_uids(options, 'val')
    test = _benchmark_uids(options, 'test_unannotated') - val
    wanted = {'val': val, 'test': test}
    if split in wanted:
        return [uid for uid in uids if uid in wanted[split]]
    if split == 'train':
        return [uid for uid in uids if uid not in val and uid not in test]
    raise DatasetError(f'no Ego4D split {split!r}; accepted: train, val, test')


def _benchmark_uids(options: BuildOptions, part: str) -> set[str]:
    return {
        entry['video_uid'].text()
        for benchmark, key in BENCHMARKS.items()
        for entry in read_json(ego4d_annotation(options, f'{benchmark}_{part}.json'))[key]
    }
