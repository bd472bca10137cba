# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which dialogues are fit for training."""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.synthesis.livechat import Dialogue
from training.synthesis.request import Tally

SHORTEST_S, LONGEST_S = 60.0, 3600.0

# A time of the video that slipped from the prompt into what is said, anywhere in it. "for 30
# seconds" is a duration, "the second cup" an order: both may be said.
_LEAKS = re.compile(
    r"""
      (?<!\bfor[ ])(?<!\babout[ ])(?<!\baround[ ])
      \b\d+(?:\.\d+)?[ -]?(?:s|secs?|seconds?)\b                  # 42s, 3.5 seconds
    | \b\d{1,2}:\d{2}(?::\d{2})?\b(?![ ]*(?:am|pm|o'clock))       # 1:05
    | \btime[ ]?stamps?\b
    | \bseconds?[ ](?:mark|\d+)\b                                # at second 12
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OFFICIAL_START = re.compile(r'\d+s\b')


def leaks_time(text: str) -> bool:
    """Whether a time of the video is told."""
    return _LEAKS.search(text) is not None


def leaks_time_officially(text: str) -> bool:
    """The published rule: misses times that do not come first, and any 'second' counts."""
    return 'second' in text or _OFFICIAL_START.match(text) is not None


def filter_dialogues(
    dialogues: Sequence[Dialogue], tally: Tally, *, official: bool = False
) -> list[Dialogue]:
    """Keep dialogues of 60 to 3600 s in which no time is told.

    Args:
        dialogues: What was made.
        tally: Counts 'too_short', 'too_long', 'leaking' and 'kept'.
        official: The published rule for told times.
    """
    leaks = leaks_time_officially if official else leaks_time
    kept = []
    for dialogue in dialogues:
        if dialogue.duration < SHORTEST_S:
            tally.add('too_short')
        elif dialogue.duration > LONGEST_S:
            tally.add('too_long')
        elif any(leaks(line.content) for line in dialogue.lines):
            tally.add('leaking')
        else:
            kept.append(dialogue)
    tally.add('kept', len(kept))
    return kept
