# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every data set by name."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.datasets import (
    coin_next,
    coin_procedure,
    coin_step,
    coin_task,
    coin_taskprocedure,
    ego4d_goalstep_livechat,
    ego4d_lta,
    ego4d_narration_stream,
    ego4d_nlq_stream,
    ego4d_refined_narration_stream,
    robustness,
)
from training.datasets.annotations import DatasetError
from training.datasets.sample import BuildOptions, Sample


@dataclass(frozen=True)
class Dataset:
    """A data set: what builds it, and its splits, the first of which is the usual one."""

    build: Callable[[BuildOptions], list[Sample]]
    splits: tuple[str, ...]


_EGO4D = ('train', 'val', 'test')
_COIN = ('train', 'test')

DATASETS: dict[str, Dataset] = {
    'ego4d_narration_stream': Dataset(ego4d_narration_stream.build, _EGO4D),
    'ego4d_refined_narration_stream': Dataset(
        ego4d_refined_narration_stream.build, ('train', 'val')
    ),
    'ego4d_goalstep_livechat': Dataset(
        ego4d_goalstep_livechat.build, ('train', 'trainval', 'train_only', 'val_only')
    ),
    'ego4d_nlq_stream': Dataset(ego4d_nlq_stream.build, _EGO4D),
    'ego4d_lta': Dataset(ego4d_lta.build, _EGO4D),
    'coin_step': Dataset(coin_step.build, _COIN),
    'coin_next': Dataset(coin_next.build, _COIN),
    'coin_task': Dataset(coin_task.build, _COIN),
    'coin_procedure': Dataset(coin_procedure.build, _COIN),
    'coin_taskprocedure': Dataset(coin_taskprocedure.build, _COIN),
    'robustness': Dataset(robustness.build, ('train',)),
}


def build(
    name: str,
    root: Path | str,
    split: str = 'train',
    *,
    fps: float = 2,
    official: bool = False,
    rng: random.Random | None = None,
    embed_mark: str | None = None,
) -> list[Sample]:
    """Return the samples of a data set's split.

    Args:
        name: a key of DATASETS.
        root: folder that holds the published tree `datasets/...`.
        split: one of the data set's splits.
        fps: frames per second of the stream.
        official: keep the bugs of the official builders.
        rng: source of the draws made while building; None: seed 0.
        embed_mark: which features, such as `2fps_384_1+3x3`; None: those that are there.

    Raises:
        DatasetError: unknown name or split, or an annotation file that is missing or damaged.
    """
    if name not in DATASETS:
        raise DatasetError(f'no data set {name!r}; accepted: {", ".join(DATASETS)}')
    dataset = DATASETS[name]
    if split not in dataset.splits:
        raise DatasetError(f'{name} has no split {split!r}; accepted: {", ".join(dataset.splits)}')
    if not (math.isfinite(fps) and fps > 0):
        raise DatasetError(f'fps must be above 0, not {fps}')
    options = BuildOptions(
        root=Path(root),
        split=split,
        fps=fps,
        official=official,
        rng=rng or random.Random(0),
        embed_mark=embed_mark,
    )
    return dataset.build(options)
