# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published schedule: growing cache, unmerged LoRA, one frame per forward."""

# Shapes: F tokens per frame, T tokens, D hidden dim, K vocabulary.
from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache


class PublishedLoop:
    """One stream as the published code runs it, frame after frame, all of them silent.

    Attributes:
        num_frames: Frames in the cache.
    """

    def __init__(self, model: Any, interval_id: int, threshold: float = 0.725) -> None:
        """Start an empty stream on `model`, which has its LoRA beside its weights."""
        self.model = model
        self.interval_id = interval_id
        self.threshold = threshold
        self.cache = DynamicCache()
        self.num_frames = 0

    @torch.no_grad()
    def judge(self, tokens_FD: torch.Tensor) -> int:
        """Feed one frame and decide; returns the id fed next were the words of use."""
        table = self.model.get_input_embeddings()
        interval = torch.tensor([self.interval_id], device=tokens_FD.device)
        embeddings_1TD = torch.cat((table(interval), tokens_FD))[None]
        output = self.model(
            inputs_embeds=embeddings_1TD, past_key_values=self.cache, use_cache=True
        )
        self.cache = output.past_key_values
        probabilities_K = output.logits[0, -1].softmax(dim=-1)
        if probabilities_K[self.interval_id] < self.threshold:
            probabilities_K[self.interval_id] = 0
        self.num_frames += 1
        return int(probabilities_K.argmax())

    @torch.no_grad()
    def say(self, token_id: int, count: int) -> int:
        """Decode `count` tokens."""
        table = self.model.get_input_embeddings()
        for _ in range(count):
            embedding = table(torch.tensor([[token_id]], device=self.model.device))
            output = self.model(
                inputs_embeds=embedding, past_key_values=self.cache, use_cache=True
            )
            token_id = int(output.logits[0, -1].argmax())
        return token_id

    def fill(self, num_frames: int, tokens_per_frame: int) -> None:
        """Bring the cache to `num_frames` frames with random contents; cost asks only for size."""
        config, num_new = self.model.config, max(0, num_frames - self.num_frames)
        head_dim = config.hidden_size // config.num_attention_heads
        shape = (1, config.num_key_value_heads, num_new * tokens_per_frame, head_dim)
        for layer in range(config.num_hidden_layers):
            keys, values = (
                torch.randn(shape, dtype=self.model.dtype, device=self.model.device)
                for _ in range(2)
            )
            self.cache.update(keys, values, layer)
        self.num_frames += num_new

    @property
    def cache_bytes(self) -> int:
        """Memory of the cache."""
        return sum(
            tensor.numel() * tensor.element_size()
            for layer in self.cache.layers
            for tensor in (layer.keys, layer.values)
        )
