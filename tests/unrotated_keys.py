# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A slow memory that needs no re-anchoring: it keeps keys as they were before rotary embedding."""

# Shapes: G key/value heads, S positions kept, E head dim.
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb


class UnrotatedKeys:
    """Watches a `*ForCausalLM` and collects what each of its layers says.

    Attributes:
        keys: Per layer, parts (G, S, E) of the positions fed, before rotary embedding.
        values: The same for values.
    """

    def __init__(self, llm: Any) -> None:
        """Collect what is fed to `llm` until `close`."""
        self._rotary, layers = llm.model.rotary_emb, llm.model.layers
        self.keys: list[list[torch.Tensor]] = [[] for _ in layers]
        self.values: list[list[torch.Tensor]] = [[] for _ in layers]
        self._hooks = []
        for layer, keys, values in zip(layers, self.keys, self.values, strict=True):
            attention = layer.self_attn
            # Qwen3 normalises keys between projection and rotary embedding.
            last = getattr(attention, 'k_norm', attention.k_proj)
            for module, into in ((last, keys), (attention.v_proj, values)):
                hook = _collect(into, attention.head_dim)
                self._hooks.append(module.register_forward_hook(hook))

    def close(self) -> None:
        """Collect no more."""
        for hook in self._hooks:
            hook.remove()

    def keep(self, kept: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Forget all positions but `kept`; return what is left as (L, G, S, E) of L layers.

        The keys are rotated to where they stand now: the first at 0, none left out.
        """
        for parts in (*self.keys, *self.values):
            parts[:] = [torch.cat(parts, dim=1)[:, kept]]
        keys_LGSE, values_LGSE = (
            torch.stack([part for (part,) in layers]) for layers in (self.keys, self.values)
        )
        cos, sin = self._rotary(keys_LGSE, torch.arange(len(kept))[None])
        rotated_LGSE, _ = apply_rotary_pos_emb(keys_LGSE, keys_LGSE, cos, sin)
        return rotated_LGSE, values_LGSE


def _collect(into: list[torch.Tensor], head_dim: int) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        into.append(output.reshape(output.shape[1], -1, head_dim).transpose(0, 1))

    return hook
