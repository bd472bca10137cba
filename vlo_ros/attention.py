# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over the streams' own KV caches, registered with transformers under ATTENTION.

One forward may hold several segments, each new tokens of one stream: linear layers see them
side by side, attention keeps them apart. Key/value heads are never expanded: on the CPU the query
heads that share one are laid out as further rows of one product.
"""

# Shapes: H query heads, G key/value heads, T new positions, S positions in all, C capacity of the
# cache, E head dim.
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface
from transformers.utils import is_flash_attn_2_available

from vlo_ros import onednn
from vlo_ros.cuda_graphs import StaticStep
from vlo_ros.kv_cache import KVCache

ATTENTION = 'vlo_cached'
# Queries of one product: as many as keep its scores near the processor.
BLOCK_TOKENS = 96
# In bfloat16 PyTorch's products are oneDNN's, which compiles a kernel of 0.7 MB for every shape
# and keeps a thousand of them: queries and cache are read in few sizes.
SIZED = (torch.bfloat16,)
QUERY_COUNTS = (1, 4, 11, 24, 48, BLOCK_TOKENS)
LENGTH_STEP = 512


@dataclass
class Segment:
    """New tokens of one stream in a forward.

    Attributes:
        embeddings_TD: What the language model is fed.
        cache: The stream's KV cache.
        read_rows: Rows of T whose logits are wanted.
    """

    embeddings_TD: torch.Tensor
    cache: KVCache
    read_rows: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """T."""
        return self.embeddings_TD.shape[0]


def attend_segments(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segments: list[Segment] | StaticStep,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Write each segment's keys and values to its cache and attend: (1, H, T, E) -> (1, T, H, E).

    The signature is transformers' AttentionInterface; `segments` reaches it through the model's
    keyword arguments.
    """
    layer: int = module.layer_idx  # type: ignore[assignment]
    if isinstance(segments, StaticStep):
        output_HTE = segments.attend(layer, query[0], key[0], value[0], scaling)
        return output_HTE.transpose(0, 1)[None], None
    outputs, start = [], 0
    for segment in segments:
        rows = slice(start, start + segment.num_tokens)
        num_all = segment.cache.write(layer, key[0, :, rows], value[0, :, rows])
        keys_GCE, values_GCE = segment.cache.keys_LGCE[layer], segment.cache.values_LGCE[layer]
        outputs.append(_attend(query[0, :, rows], keys_GCE, values_GCE, num_all, scaling))
        start = rows.stop
    output_HTE = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    return output_HTE.transpose(0, 1)[None], None


def _attend(
    query_HTE: torch.Tensor,
    keys_GCE: torch.Tensor,
    values_GCE: torch.Tensor,
    num_all: int,
    scaling: float,
) -> torch.Tensor:
    """Attend over the first `num_all` positions, of which the last T are the queries' own."""
    if query_HTE.dtype in onednn.FORMATS and not query_HTE.is_cuda and onednn.is_available():
        return _attend_by_head(query_HTE, keys_GCE, values_GCE, num_all, scaling)
    keys_GSE, values_GSE = keys_GCE[:, :num_all], values_GCE[:, :num_all]
    if query_HTE.is_cuda:
        return _attend_cuda(query_HTE, keys_GSE, values_GSE, scaling)
    num_heads, num_new, head_dim = query_HTE.shape
    num_kv_heads = keys_GSE.shape[0]
    num_rows = num_heads // num_kv_heads
    mask_TS = _future(num_new, query_HTE.dtype)
    mask_TS = functional.pad(mask_TS, (num_all - num_new, 0))
    output = functional.scaled_dot_product_attention(
        query_HTE.reshape(1, num_kv_heads, num_rows * num_new, head_dim),
        keys_GSE[None],
        values_GSE[None],
        attn_mask=None if num_new == 1 else mask_TS.repeat(num_rows, 1),
        scale=scaling,
    )
    return output.view(num_heads, num_new, head_dim)


def _attend_by_head(
    query_HTE: torch.Tensor,
    keys_GCE: torch.Tensor,
    values_GCE: torch.Tensor,
    num_all: int,
    scaling: float,
) -> torch.Tensor:
    """Attend with two products per key/value head; only the new positions need a mask.

    Not `onednn.product`: it too compiles a kernel for every length of the cache.
    """
    num_heads, num_new, head_dim = query_HTE.shape
    num_kv_heads, capacity = keys_GCE.shape[:2]
    num_rows = num_heads // num_kv_heads
    is_sized = query_HTE.dtype in SIZED
    step = LENGTH_STEP if is_sized else 1
    num_read = min(-(-num_all // step) * step, capacity)
    if num_read > num_all:
        # Behind the last position lies what was truncated: hidden below, but it must be finite.
        keys_GCE[:, num_all:num_read] = 0
        values_GCE[:, num_all:num_read] = 0
    query_GRTE = (query_HTE * scaling).view(num_kv_heads, num_rows, num_new, head_dim)
    output_GRTE = torch.empty_like(query_GRTE, memory_format=torch.contiguous_format)
    for first in range(0, num_new, BLOCK_TOKENS):
        block = slice(first, min(first + BLOCK_TOKENS, num_new))
        size = block.stop - first
        # What is fed to the products, K = R * fed rows over `read` positions, up to `end` seen.
        fed = next(count for count in QUERY_COUNTS if count >= size) if is_sized else size
        end = num_all - num_new + block.stop
        read = min(-(-end // step) * step, capacity)
        future_tt = _future(size, query_HTE.dtype)
        for head in range(num_kv_heads):
            rows_RTE = query_GRTE[head, :, block]
            if fed > size:
                rows_RTE = functional.pad(rows_RTE, (0, 0, 0, fed - size))
            scores_KS = rows_RTE.reshape(num_rows * fed, head_dim) @ keys_GCE[head, :read].T
            scores_RTS = scores_KS.view(num_rows, fed, read)[:, :size]
            if read > end:
                scores_RTS[:, :, end:] = -torch.inf
            if size > 1:
                scores_RTS[:, :, end - size : end] += future_tt
            attended_KE = scores_KS.softmax(dim=-1) @ values_GCE[head, :read]
            output_GRTE[head, :, block] = attended_KE.view(num_rows, fed, head_dim)[:, :size]
    return output_GRTE.view(num_heads, num_new, head_dim)


@lru_cache(maxsize=256)
def _future(num_new: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (T, T) that hides from each new position those after it."""
    return torch.full((num_new, num_new), -torch.inf, dtype=dtype).triu(1)


def _attend_cuda(
    query_HTE: torch.Tensor, keys_GSE: torch.Tensor, values_GSE: torch.Tensor, scaling: float
) -> torch.Tensor:
    if is_flash_attn_2_available() and query_HTE.dtype != torch.float32:
        from flash_attn import flash_attn_func

        output_1THE = flash_attn_func(
            query_HTE.transpose(0, 1)[None],
            keys_GSE.transpose(0, 1)[None],
            values_GSE.transpose(0, 1)[None],
            softmax_scale=scaling,
            causal=True,  # aligned at the lower right, which is what a cache needs
        )
        return torch.as_tensor(output_1THE)[0].transpose(0, 1)
    num_new, num_all = query_HTE.shape[1], keys_GSE.shape[1]
    return functional.scaled_dot_product_attention(
        query_HTE[None],
        keys_GSE[None],
        values_GSE[None],
        # For one token too: without it cuDNN may be chosen, which plans anew for every length.
        attn_mask=causal_lower_right(num_new, num_all),
        scale=scaling,
        enable_gqa=query_HTE.shape[0] != keys_GSE.shape[0],
    )[0]


AttentionInterface.register(ATTENTION, attend_segments)
