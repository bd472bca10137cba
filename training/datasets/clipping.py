# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cutting a conversation to the longest stream that is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def clip_frames(
    conversation: Sequence[dict[str, Any]],
    load_ranges: Mapping[str, tuple[int, int]],
    max_num_frames: int,
    *,
    official: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, tuple[int, int]]]:
    """Cut before the first stream message that would exceed `max_num_frames`.

    Args:
        conversation: messages in order.
        load_ranges: feature file -> (first frame, frame after the last).
        max_num_frames: most frames to keep.
        official: shorten every file to the kept count, as if each held all frames.

    Returns:
        The kept messages, and the ranges shortened to the kept frames.
    """
    kept = 0
    for position, message in enumerate(conversation):
        if message['role'] != 'stream':
            continue
        if kept + message['num_frames'] > max_num_frames:
            return list(conversation[:position]), _shorten(load_ranges, kept, official)
        kept += message['num_frames']
    return list(conversation), dict(load_ranges)


def _shorten(
    load_ranges: Mapping[str, tuple[int, int]], num_frames: int, official: bool
) -> dict[str, tuple[int, int]]:
    shortened = {}
    for file, (first, end) in load_ranges.items():
        # Corrected: the frames of several files follow each other, so the kept count is shared
        # out from the first file on; officially each file keeps that many.
        taken = num_frames if official else min(num_frames, end - first)
        shortened[file] = (first, first + taken)
        if not official:
            num_frames -= taken
    return shortened
