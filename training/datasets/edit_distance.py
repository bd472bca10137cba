# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Levenshtein distance: nearest text, and the area under it over growing horizons."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import fmean

from rapidfuzz.distance import Levenshtein


def nearest(text: str, choices: Sequence[str]) -> str:
    """Return the choice with the least distance to `text`; ties go to the first by code point."""
    return min(choices, key=lambda choice: (Levenshtein.distance(text, choice), choice))


def edit_distance(
    beams_NKZ: Sequence[Sequence[Sequence[int]]], labels_NZ: Sequence[Sequence[int]]
) -> float:
    """Return the mean over N samples of the best of K beams' distance, divided by Z labels."""
    return fmean(
        min(Levenshtein.distance(list(beam), list(labels)) / len(labels) for beam in beams)
        for beams, labels in zip(beams_NKZ, labels_NZ, strict=True)
    )


def aued(
    beams_NKZ: Sequence[Sequence[Sequence[int]]], labels_NZ: Sequence[Sequence[int]]
) -> float:
    """Return the area under the edit distance of horizons 1..Z, by trapezoids over Z - 1.

    Args:
        beams_NKZ: predicted labels of N samples, K beams, Z actions.
        labels_NZ: annotated labels.
    """
    if not labels_NZ:
        raise ValueError('AUED needs at least one sample')
    num_actions = len(labels_NZ[0])
    curve = [
        edit_distance(
            [[beam[:horizon] for beam in beams] for beams in beams_NKZ],
            [labels[:horizon] for labels in labels_NZ],
        )
        for horizon in range(1, num_actions + 1)
    ]
    area = sum((left + right) / 2 for left, right in itertools.pairwise(curve))
    return area / (num_actions - 1)
