# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Five fixed samples without a usable video: the model should say so, not invent one."""

from __future__ import annotations

from training.datasets.sample import BuildOptions, Sample, assistant, stream, user

OFFICIAL_FEATURE_SHAPE = (1, 1024)
VISION_HIDDEN_SIZE = 1024
NUM_NOISE_FRAMES = 10

_WITHOUT_VIDEO = (
    (
        'Please help me to narrate the video in real time.',
        'Sure! Please provide me the video stream, and I will help you.',
    ),
    ('Concisely output what you have seen.', 'Sure! Please provide me the video inputs.'),
    ('...', 'Hi! How can I help you?'),
)


def build(options: BuildOptions) -> list[Sample]:
    """Return the five samples.

    `frames` of the last two describes features that are in no file: `shape` and `kind`. A first
    dimension is frames, the last the vision tower's width; in between stand the frame's tokens,
    null for as many as the model has.
    """
    samples = [
        Sample(conversation=(user(question), assistant(answer)), load_ranges={})
        for question, answer in _WITHOUT_VIDEO
    ]
    noise = (
        NUM_NOISE_FRAMES,
        'uniform random in [0,1)',
        'What is happening now?',
        'Sorry, it seems the input video frames are noise. Could you have a check?',
    )
    black = (
        1,
        'zeros',
        'What is the next step?',
        'Sorry, I cannot see anything in the input video frame. Could you check it?',
    )
    for num_frames, kind, question, answer in (noise, black):
        # Corrected: every token of every frame has features of its own; officially one vector is
        # repeated for all of them, so that the "noise" is ten equal frames.
        shape = (num_frames, None, VISION_HIDDEN_SIZE)
        samples.append(
            Sample(
                conversation=(
                    stream(num_frames, learn=False),
                    {**user(question), 'learn': False},
                    assistant(answer),
                ),
                load_ranges={},
                frames={
                    'shape': list(OFFICIAL_FEATURE_SHAPE if options.official else shape),
                    'kind': kind,
                },
            )
        )
    return samples
