# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COIN task recognition: what is the whole video about?"""

from __future__ import annotations

from training.datasets.coin import CONCISELY, question_sample, read_coin, sentence
from training.datasets.sample import BuildOptions, Sample

QUESTION = f'What is the overall activity in the video? {CONCISELY}'


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each video."""
    return [
        question_sample(
            options,
            video.video,
            video.task,
            QUESTION,
            sentence(video.task.text),
            video.task.text.lower(),
        )
        for video in read_coin(options).videos
    ]
