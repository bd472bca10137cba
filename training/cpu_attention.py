# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Causal attention for training on a CPU: blocks of rows, matrix products in bfloat16.

torch's fused attention is two to three times slower there (docs/training.md has the figures).
"""

# Shapes: B conversations, H query heads, G key/value heads, T positions, E head dim.
from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CPU_ATTENTION = 'vlo_blocked'
_BLOCK = 256  # rows; a block attends to nothing behind its own last row


def attend_blocked(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attend: (B, H, T, E) -> (B, T, H, E); a mask (padding, packing) goes to torch's own."""
    if attention_mask is not None or query.shape[2] != key.shape[2]:
        found: tuple[torch.Tensor, torch.Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return found
    dtype = query.dtype
    if torch.is_autocast_enabled('cpu'):
        dtype = torch.get_autocast_dtype('cpu')
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    with torch.autocast('cpu', enabled=False):
        output_BHTE = _causal((query * scale).to(dtype), key.to(dtype), value.to(dtype))
    return output_BHTE.transpose(1, 2), None


def _causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of scaled queries; heads that share a key are further rows of one product."""
    batch, num_heads, length, dim = query.shape
    num_kv_heads = key.shape[1]
    per_key = num_heads // num_kv_heads
    keys = key.reshape(batch * num_kv_heads, length, dim)
    values = value.reshape(batch * num_kv_heads, length, dim)
    queries = query.reshape(batch * num_kv_heads, per_key, length, dim)
    blocks = []
    for start in range(0, length, _BLOCK):
        end = min(start + _BLOCK, length)
        size = end - start
        rows = queries[:, :, start:end].reshape(-1, per_key * size, dim)
        scores = torch.bmm(rows, keys[:, :end].transpose(1, 2)).unflatten(1, (per_key, size))
        hidden = torch.full((size, size), -torch.inf, dtype=scores.dtype).triu_(1)
        hidden = torch.cat([hidden.new_zeros(size, start), hidden], dim=1)
        weights = (scores + hidden).softmax(dim=-1)
        blocks.append(
            torch.bmm(weights.flatten(1, 2), values[:, :end]).unflatten(1, (per_key, size))
        )
    return torch.cat(blocks, dim=2).reshape(batch, num_heads, length, dim)


AttentionInterface.register(CPU_ATTENTION, attend_blocked)
AttentionMaskInterface.register(CPU_ATTENTION, sdpa_mask)
