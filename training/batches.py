# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which examples make up each batch of a whole training run, decided before it begins.

One list for the run, not one per epoch: skipping its beginning is all that resuming needs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from training.corpus import Corpus, Key
from training.recipe import Recipe, StageRecipe


class BatchPlan(Sampler[list[Key]]):
    """The batches of a run, in order."""

    def __init__(self, batches: Sequence[list[Key]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)


def plan_batches(recipe: Recipe, corpus: Corpus, num_devices: int = 1) -> BatchPlan:
    """Lay out a run.

    Args:
        recipe: Stages of windows, or epochs over whole conversations.
        corpus: Where the conversations are.
        num_devices: Devices that share out the batches; each step takes one per device.
    """
    if recipe.stages:
        return BatchPlan(plan_stages(recipe.stages, num_devices))
    rng = random.Random(recipe.train.seed)
    num_draws = max(1, round(recipe.train.num_epochs * len(corpus)))
    keys: list[Key] = []
    while len(keys) < num_draws:
        order = list(range(len(corpus)))
        rng.shuffle(order)
        keys += [Key(draw=len(keys) + place, index=index) for place, index in enumerate(order)]
    keys = keys[:num_draws]
    if recipe.data.pack_tokens:
        sizes = [corpus.num_tokens(key.index or 0) for key in keys]
        return BatchPlan(_fill(keys, sizes, recipe.data.pack_tokens))
    size = recipe.train.batch_size
    return BatchPlan([keys[start : start + size] for start in range(0, len(keys), size)])


def plan_stages(stages: Sequence[StageRecipe], num_devices: int) -> list[list[Key]]:
    """Windows of one stage after the other."""
    batches, draw = [], 0
    for number, stage in enumerate(stages):
        for _ in range(stage.num_steps * num_devices):
            batches.append([Key(draw + row, None, number) for row in range(stage.batch_size)])
            draw += stage.batch_size
    return batches


def num_steps(plan: BatchPlan, recipe: Recipe, num_devices: int = 1) -> int:
    """Optimizer steps of a plan."""
    return math.ceil(math.ceil(len(plan) / num_devices) / recipe.train.accumulation)


def _fill(keys: Sequence[Key], sizes: Sequence[int], capacity: int) -> list[list[Key]]:
    """Fill rows in order; a conversation longer than a row has one to itself."""
    rows: list[list[Key]] = []
    room = 0
    for key, size in zip(keys, sizes, strict=True):
        if not rows or size > room:
            rows.append([])
            room = capacity
        rows[-1].append(key)
        room -= size
    return rows
