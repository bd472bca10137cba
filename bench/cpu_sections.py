# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of `bench.gpu` that hold on the CPU too, at its own shapes.

Processor time, but for what is measured from a capture on, which is wall time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench import machine
from bench.cpu_shapes import QUICK, Size
from bench.cpu_steps import achieved
from bench.gpu_sections import SENTENCE_TOKENS, GpuMeasurements
from bench.random_models import judge, make_frames, speaking_at
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.replay import replay

BATCHES = (1, 8, 32)
ENCODER_ROUNDS = 5


class CpuMeasurements(GpuMeasurements):
    """Live steps, encoder, replay and streams on the CPU."""

    def __init__(self, size: Size, dtype: torch.dtype) -> None:
        """Measure at the shapes of `size`."""
        super().__init__(tiny=size is QUICK)
        self.device = torch.device('cpu')
        self.dtype = dtype
        self.llama, self.siglip = size.llama, size.siglip
        window = self.llama.max_position_embeddings
        self.contexts = [window // 16, window // 2, window - 192]
        self.num_steps, self.replay_frames = size.num_steps, size.replay_frames
        self.many = size.num_streams

    def live(self, model: VloModel) -> list[dict[str, Any]]:
        """As there; packed weights are no parameters, so what is achieved is worked out here."""
        rows = super().live(model)
        for row in rows:
            row |= achieved(self.llama, self.dtype, row['context'], 1, 1 / row['fps'])
        return rows

    def encoder(self, model: VloModel, compiled: bool = False) -> list[dict[str, Any]]:
        """Frames in memory to frame tokens."""
        rows = []
        for count in BATCHES:
            images = self._images(count)
            model.encode(images)
            seconds = min(
                self._seconds(lambda images=images: model.encode(images))
                for _ in range(ENCODER_ROUNDS)
            )
            rows.append({'batch': count, 'ms': seconds * 1e3, 'fps': count / seconds})
        return rows

    def _replay_fps(self, model: VloModel, chunk: str, speaking: Any) -> float:
        """The language side alone; nothing is captured here, so nothing is played beforehand."""
        stream, frames = self._fresh(model, chunk), make_frames(model, 0, self.replay_frames)
        with speaking_at(speaking):
            seconds = self._seconds(partial(judge, stream, frames))
        return self.replay_frames / seconds

    def _end_to_end_fps(self, model: VloModel, speaking: Any) -> float:
        """As `vlo replay` does it, from decoded images on."""
        config = StreamConfig(max_new_tokens=SENTENCE_TOKENS)
        events = replay(self._images(self.replay_frames), [], model, config)
        with speaking_at(speaking):
            seconds = self._seconds(lambda: deque(events, maxlen=0))
        return self.replay_frames / seconds

    def _seconds(self, call: Callable[[], Any]) -> float:
        return machine.cpu_seconds(call)
