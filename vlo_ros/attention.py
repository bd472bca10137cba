"""Attention over the streams' own KV caches, registered with transformers under ATTENTION.

One forward may hold several segments, each new tokens of one stream: linear layers see them
side by side, attention keeps them apart. Key/value heads are never expanded: on the CPU the query
heads that share one are laid out as further rows of one product.
"""

# Shapes: H query heads, G key/value heads, T new positions, S positions in all, E head dim.
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
        keys_GSE, values_GSE = segment.cache.write(layer, key[0, :, rows], value[0, :, rows])
        outputs.append(_attend(query[0, :, rows], keys_GSE, values_GSE, scaling))
        start = rows.stop
    output_HTE = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    return output_HTE.transpose(0, 1)[None], None


def _attend(
    query_HTE: torch.Tensor, keys_GSE: torch.Tensor, values_GSE: torch.Tensor, scaling: float
) -> torch.Tensor:
    if query_HTE.is_cuda:
        return _attend_cuda(query_HTE, keys_GSE, values_GSE, scaling)
    if query_HTE.dtype in onednn.FORMATS and onednn.is_available():
        return _attend_by_head(query_HTE, keys_GSE, values_GSE, scaling)
    num_heads, num_new, head_dim = query_HTE.shape
    num_kv_heads, num_all = keys_GSE.shape[:2]
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
    query_HTE: torch.Tensor, keys_GSE: torch.Tensor, values_GSE: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Attend with two products per key/value head; only the new positions need a mask.

    Not oneDNN's products: it compiles a kernel for every length of the cache and keeps thousands.
    """
    num_heads, num_new, head_dim = query_HTE.shape
    num_kv_heads, num_all = keys_GSE.shape[:2]
    num_rows = num_heads // num_kv_heads
    query_GRTE = (query_HTE * scaling).view(num_kv_heads, num_rows, num_new, head_dim)
    output_GRTE = torch.empty_like(query_GRTE, memory_format=torch.contiguous_format)
    for first in range(0, num_new, BLOCK_TOKENS):
        block = slice(first, min(first + BLOCK_TOKENS, num_new))
        size = block.stop - first
        end = num_all - num_new + block.stop
        future_tt = _future(size, query_HTE.dtype)
        for head in range(num_kv_heads):
            rows_KE = query_GRTE[head, :, block].reshape(num_rows * size, head_dim)
            scores_KS = rows_KE @ keys_GSE[head, :end].T
            if size > 1:
                scores_KS.view(num_rows, size, end)[:, :, end - size :] += future_tt
            attended_KE = scores_KS.softmax(dim=-1) @ values_GSE[head, :end]
            output_GRTE[head, :, block] = attended_KE.view(num_rows, size, head_dim)
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
        attn_mask=None if num_new == 1 else causal_lower_right(num_new, num_all),
        scale=scaling,
        enable_gqa=query_HTE.shape[0] != keys_GSE.shape[0],
    )[0]


AttentionInterface.register(ATTENTION, attend_segments)
