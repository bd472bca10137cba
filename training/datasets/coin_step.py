# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COIN step recognition: what is being done in this stretch of video?"""

from __future__ import annotations

from training.datasets.coin import CONCISELY, question_sample, read_coin, sentence
from training.datasets.sample import BuildOptions, Sample

QUESTION = f'What is the action in the video? {CONCISELY}'


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each step."""
    return [
        question_sample(
            options, video.video, step, QUESTION, sentence(step.text), step.text.lower()
        )
        for video in read_coin(options).videos
        for step in video.steps
    ]
