# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the bundled model's decisions move with the chunk and the number format.

Random weights say nothing about when to speak; the bundled ones were trained. Each way judges the
same new episodes of the rendered world and speaks on the frames where float32 does that judges
one frame at a time, so that all have the same past but for their own words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bench.random_models import speaking_at
from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.config import BUNDLED, StreamConfig, load_config
from vlo_ros.events import Frame
from vlo_ros.replay import ReplayEvent, replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources.opening import RENDERED, open_source

FIRST_SEED = 1000  # the bundled model was not trained on these
# Number format and chunk of two ways to judge.
COMPARED = (
    (('float32', '32'), ('float32', '1')),
    (('bfloat16', '32'), ('bfloat16', '1')),
    (('bfloat16', '1'), ('float32', '1')),
)


@dataclass
class Judged:
    """What one way made of all episodes.

    Attributes:
        p_silence: Of each frame.
        texts: Of each response.
    """

    p_silence: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, events: Sequence[ReplayEvent]) -> None:
        """Take in the events of one episode."""
        for event in events:
            if event['kind'] == 'response':
                self.texts.append(event['text'])
            elif event['decision'] != 'query':
                self.p_silence.append(event['p_silence'])


def agreement(num_episodes: int, num_frames: int) -> list[dict[str, Any]]:
    """Judge `num_frames` of each episode in every way and compare."""
    found = {way: Judged() for pair in COMPARED for way in pair}
    models = {
        name: load_model(load_config(BUNDLED, device='cpu', dtype=name).model) for name, _ in found
    }
    config = load_config(BUNDLED).stream
    for seed in range(FIRST_SEED, FIRST_SEED + num_episodes):
        recording = open_source(f'{RENDERED}{seed}').frames(Sampler(config.frame_fps))
        frames = list(islice(recording, num_frames))
        plain = _judge(frames, models['float32'], config, '1')
        spoken = [event['index'] for event in plain if event.get('decision') == 'respond']
        for (name, chunk), judged in found.items():
            with speaking_at(spoken):
                judged.add(_judge(frames, models[name], config, chunk))
    return [_compare(one, other, found, config) for one, other in COMPARED]


def _judge(
    frames: list[Frame], model: VloModel, config: StreamConfig, chunk: str
) -> list[ReplayEvent]:
    return list(replay(frames, [], model, dataclasses.replace(config, chunk=chunk)))


def _compare(
    one: tuple[str, str],
    other: tuple[str, str],
    found: dict[tuple[str, str], Judged],
    config: StreamConfig,
) -> dict[str, Any]:
    pairs = list(zip(found[one].p_silence, found[other].p_silence, strict=True))
    # Above 0.5 silence is the most likely token too, so this is the whole rule.
    threshold = config.silence_threshold
    assert threshold > 0.5
    equal = sum((p >= threshold) == (q >= threshold) for p, q in pairs)
    texts = list(zip(found[one].texts, found[other].texts, strict=True))
    return {
        'what': ' against '.join(f'{name}, chunk {chunk}' for name, chunk in (one, other)),
        'frames': len(pairs),
        'equal_verdicts': equal / len(pairs),
        'max_p_silence_difference': max(abs(p - q) for p, q in pairs),
        'responses': len(texts),
        'equal_responses': sum(text == twin for text, twin in texts) / max(len(texts), 1),
    }
