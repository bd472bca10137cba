# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The language model's weights and its forward; what a stream remembers is in KVCache."""

# Shapes: T tokens, D hidden dim, R read rows, K vocabulary.
from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig

from vlo_ros.attention import ATTENTION, Segment
from vlo_ros.cuda_graphs import StaticForward
from vlo_ros.errors import ConfigError
from vlo_ros.kv_cache import KVCache

# Rotary embeddings that turn keys otherwise once a stream is longer than it was in training.
LENGTH_DEPENDENT_ROPE = ('dynamic', 'longrope')

logger = logging.getLogger(__name__)


class LanguageModel:
    """A causal language model of transformers, run over the streams' own caches."""

    def __init__(self, model: Any) -> None:
        """Take over `model`, a `*ForCausalLM`, and route its attention to `attention.py`."""
        self.model: Any = model.eval().requires_grad_(False)
        self.config: Any = model.config
        self.config._attn_implementation = ATTENTION
        table: nn.Embedding = self.model.get_input_embeddings()
        self.device, self.dtype = table.weight.device, table.weight.dtype
        self.head_dim, self.num_kv_heads = attention_shape(self.config)
        self.trained_positions = trained_positions(self.config)
        self._warned: str | None = None
        self._static: StaticForward | None = None
        if self.device.type == 'cuda':
            self.use_static_shapes(capture=True)

    def use_static_shapes(self, *, capture: bool) -> None:
        """Feed a stream in forwards of fixed shape from now on, `capture`d as CUDA graphs."""
        self._static = StaticForward(self.model, capture=capture)

    def use_any_shape(self) -> None:
        """Feed every stream in forwards of just its length again."""
        self._static = None

    def new_cache(self, capacity: int) -> KVCache:
        """Allocate the memory of one stream; `capacity` 0 takes what the model was trained for.

        More than that is allowed, and a warning.

        Raises:
            ConfigError: More, for a model whose keys cannot be re-anchored then.
        """
        warning = warning_of_window(capacity, self.config)
        if warning and warning != self._warned:
            logger.warning('%s', warning)
            self._warned = warning  # once, however many streams there are
        rotary = self.model.model.rotary_emb
        cache = KVCache(
            self.config.num_hidden_layers,
            self.num_kv_heads,
            capacity or self.trained_positions,
            self.head_dim,
            rotary.inv_freq,
            self.dtype,
            self.device,
        )
        if self._static is not None:
            self._warm_up(cache)
        return cache

    @torch.inference_mode()
    def _warm_up(self, cache: KVCache) -> None:
        assert self._static is not None
        if self._static.captures:
            self._static.warm_up(cache)

    def embed(self, ids: Sequence[int]) -> torch.Tensor:
        """Embeddings of text ids: (T, D)."""
        table: nn.Embedding = self.model.get_input_embeddings()
        ids_T = torch.tensor(ids, dtype=torch.long, pin_memory=self.device.type == 'cuda')
        # From pinned memory the copy takes its turn: nobody waits for what is queued before it.
        embeddings_TD: torch.Tensor = table(ids_T.to(self.device, non_blocking=True))
        return embeddings_TD

    @torch.inference_mode()
    def forward(self, segments: list[Segment]) -> list[torch.Tensor]:
        """Feed each segment to its stream; return its logits (R, K) at the rows it reads.

        Raises:
            CacheFullError: A segment does not fit its cache; no cache has changed.
        """
        for segment in segments:
            segment.cache.check_room(segment.num_tokens)
        if self._static is not None and len(segments) == 1:
            (segment,) = segments
            found_RK = self._static.forward(
                segment.embeddings_TD, segment.cache, segment.read_rows
            )
            if found_RK is not None:
                segment.cache.commit(segment.num_tokens)
                return [found_RK]
        embeddings_1TD = torch.cat([segment.embeddings_TD for segment in segments])[None]
        positions = [
            torch.arange(
                segment.cache.length,
                segment.cache.length + segment.num_tokens,
                device=self.device,
            )
            for segment in segments
        ]
        hidden_TD = self.model.model(
            inputs_embeds=embeddings_1TD,
            position_ids=torch.cat(positions)[None],
            use_cache=False,
            segments=segments,
        ).last_hidden_state[0]
        starts, start = [], 0
        for segment in segments:
            segment.cache.commit(segment.num_tokens)
            starts.append(start)
            start += segment.num_tokens
        rows = [
            begin + row
            for begin, segment in zip(starts, segments, strict=True)
            for row in segment.read_rows
        ]
        # Only the rows somebody reads go through the head, the largest matrix of all.
        logits_RK = self.model.get_output_embeddings()(hidden_TD[rows])
        return list(logits_RK.split([len(segment.read_rows) for segment in segments]))


def attention_shape(config: PretrainedConfig | Any) -> tuple[int, int]:
    """Return head dim and number of key/value heads of a language model's config."""
    num_heads = config.num_attention_heads
    head_dim = getattr(config, 'head_dim', None) or config.hidden_size // num_heads
    return head_dim, getattr(config, 'num_key_value_heads', None) or num_heads


def warning_of_window(window_tokens: int, config: PretrainedConfig | Any) -> str | None:
    """Return what to tell people about a window beyond what the model was trained for, if it is.

    Raises:
        ConfigError: The model's rotary embedding changes with the length there, so that cached
            keys could not be re-anchored.
    """
    trained = trained_positions(config)
    if window_tokens <= trained:
        return None
    beyond = (
        f'stream.window_tokens: {window_tokens} is more than the {trained} positions the '
        'language model was trained for'
    )
    rope_type = _rope_of(config).get('rope_type', 'default')
    if rope_type in LENGTH_DEPENDENT_ROPE:
        raise ConfigError(
            f'{beyond}, and with rope_type {rope_type!r} at most {trained} are accepted'
        )
    return f'{beyond}; decisions far from the beginning may be poor'


def trained_positions(config: PretrainedConfig | Any) -> int:
    """Return how many positions a language model attends over as it was trained.

    It is the default of a stream's window. Llama-3-8B has 8,192. A sliding window (Mistral v0.1)
    bounds it, since inside it nothing is masked; so does the length before rope scaling was
    applied.
    """
    positions = [int(config.max_position_embeddings)]
    rope = _rope_of(config)
    if rope.get('original_max_position_embeddings'):
        positions.append(int(rope['original_max_position_embeddings']))
    if getattr(config, 'sliding_window', None) and getattr(config, 'use_sliding_window', True):
        positions.append(int(config.sliding_window))
    return min(positions)


def _rope_of(config: PretrainedConfig | Any) -> dict[str, Any]:
    return getattr(config, 'rope_scaling', None) or getattr(config, 'rope_parameters', None) or {}
