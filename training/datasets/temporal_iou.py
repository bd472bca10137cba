# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far two stretches of time overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def temporal_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return intersection over union of two stretches [start, end] in s.

    Two stretches without length have no overlap; officially they divide by zero.
    """
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if union else 0.0


def merge_overlapping(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches [start, end] in s by start, with those that overlap made one."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
