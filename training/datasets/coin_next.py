# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COIN next step: what follows this stretch of video?"""

from __future__ import annotations

from training.datasets.coin import (
    next_steps,
    next_steps_question,
    question_sample,
    read_coin,
    sentence,
)
from training.datasets.sample import BuildOptions, Sample


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each step but the last of a video."""
    question = next_steps_question(1)
    return [
        question_sample(
            options,
            video.video,
            step,
            question,
            sentence(following[0].text),
            following[0].text.lower(),
        )
        for video in read_coin(options).videos
        for step, following in next_steps(video)
    ]
