# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences out of annotators' shorthand."""

from __future__ import annotations

# Removed one after the other: `#C` the camera wearer, `#O` another person, `#unsure` a doubt.
NARRATION_TAGS = ('#C', '#c', '@c', '#O', '#o', '#Unsure', '#unsure', '#')


def clean_narration(raw: str) -> str:
    """Return an Ego4D narration without tags as a sentence; `.` where nothing is left.

    The first word is capitalised and otherwise lower-cased (`DIY` becomes `Diy`), as in the text
    that the published model was trained on.
    """
    text = raw
    for tag in NARRATION_TAGS:
        text = text.replace(tag, '')
    sentence = text.strip('.,\n ') + '.'
    first, *others = sentence.split()
    return ' '.join([first.capitalize(), *others])


def case_connect(prefix: str, suffix: str) -> str:
    """Return two pieces as one line: the second starts small after `,` or `:`, else large."""
    if not prefix or not suffix:
        return prefix or suffix[:1].upper() + suffix[1:]
    first = suffix[0].lower() if prefix[-1] in ',:' else suffix[0].upper()
    return f'{prefix} {first}{suffix[1:]}'
