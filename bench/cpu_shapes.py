# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How large and how long the CPU benchmark is."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import LlamaConfig, SiglipVisionConfig

from bench.lanes import TOWER
from bench.random_models import LLAMA_125M, LLAMA_TINY, SIGLIP_TINY


@dataclass(frozen=True)
class Size:
    """Shapes of the models, and how much is measured on them.

    Attributes:
        llama: The language model.
        siglip: The vision tower.
        measured_frames: Live frames up to each point of the published comparison.
        num_steps: Live frames at each context.
        replay_frames: Length of the replayed recording.
        num_streams: How many streams share a forward.
        agreement: Episodes, and frames of each.
    """

    llama: LlamaConfig
    siglip: SiglipVisionConfig
    measured_frames: int
    num_steps: int
    replay_frames: int
    num_streams: tuple[int, ...]
    agreement: tuple[int, int]


# The tower costs about as much as the language model does on a frame.
REAL = Size(LLAMA_125M, TOWER, 15, 100, 240, (2, 4, 8), (12, 100))
QUICK = Size(LLAMA_TINY, SIGLIP_TINY, 2, 3, 64, (2,), (1, 24))
