# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ego4D narrations rewritten by a language model as speech to the wearer (`You pick a cup.`)."""

from __future__ import annotations

from training.datasets.ego4d_narration_stream import narration_samples, read_tracks
from training.datasets.layout import ego4d_annotation
from training.datasets.sample import BuildOptions, Sample

INSTRUCTIONS = (
    'Please concisely narrate the video in real time.',
    'Help me to illustrate my view in short.',
    'Please simply describe what do you see.',
    'Continuously answer what you observed with simple text.',
    'Do concise real-time narration.',
    'Hey assistant, do you know the current video content? Reply me concisely.',
    'Simply interpret the scene for me.',
    'What can you tell me about? Be concise.',
    'Use simple text to explain what is shown in front of me.',
    'What is the action now? Please response in short.',
)


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each video and annotator of `refined_narration_stream_SPLIT.json`."""
    file = ego4d_annotation(options, f'refined_narration_stream_{options.split}.json')
    return narration_samples(options, read_tracks(file), INSTRUCTIONS)
