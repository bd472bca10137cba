# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CPU's fast path: oneDNN products, with constant weights packed once.

PyTorch hands float32 products to MKL, which on some processors reaches half of what oneDNN does,
and lays bfloat16 weights out anew in every call. Both operations used here are the ones PyTorch's
own compiler emits; where they are missing, nothing is replaced (docs/engine.md has the figures).
"""

# Shapes: M rows, K inputs, N outputs.
from __future__ import annotations

import platform
from functools import cache

import torch
from torch import nn

# Rows to lay weights out for: a frame. Longer products are bound by arithmetic either way.
ROWS = 11
FORMATS = (torch.float32, torch.bfloat16)


@cache
def is_available() -> bool:
    """Whether both operations exist here and give the product they should."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if platform.machine() not in ('x86_64', 'AMD64') or not has_onednn:
        return False
    inputs_MK = torch.linspace(-1, 1, 48).view(3, 16)
    weight_NK = torch.linspace(-1, 1, 128).view(8, 16)
    expected_MN = inputs_MK @ weight_NK.T
    try:
        with torch.inference_mode():
            found = (product(inputs_MK, weight_NK), product(inputs_MK, _pack(weight_NK)))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return all(torch.allclose(found_MN, expected_MN, atol=1e-5) for found_MN in found)


def product(
    inputs_MK: torch.Tensor, weight_NK: torch.Tensor, bias_N: torch.Tensor | None = None
) -> torch.Tensor:
    """Inputs times transposed weight: (M, N); the weight may be packed, a view, or transposed."""
    output_MN: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
        inputs_MK, weight_NK, bias_N, 'none', [], ''
    )
    return output_MN


class PackedLinear(nn.Module):
    """A linear layer for inference alone, its weight in oneDNN's layout.

    Attributes:
        in_features: K.
        out_features: N.
        num_bytes: Memory of weight and bias, in bytes.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Pack the weight of `linear`, which may then be thrown away."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._weight_NK = _pack(linear.weight.detach())
        self._bias_N = None if linear.bias is None else linear.bias.detach()
        tensors = [linear.weight, *([] if linear.bias is None else [linear.bias])]
        self.num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., K) -> (..., N)."""
        return product(inputs, self._weight_NK, self._bias_N)


def pack_linears(model: nn.Module) -> None:
    """Replace every plain linear layer of a model on the CPU; it can then no longer be trained."""
    if not is_available():
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            # Subclasses and quantized weights are left alone: they know how they are read.
            if type(child) is not nn.Linear or type(child.weight.data) is not torch.Tensor:
                continue
            if child.weight.dtype in FORMATS:
                setattr(module, name, PackedLinear(child))


def packed_bytes(model: nn.Module) -> int:
    """Memory of the packed layers in a model, in bytes."""
    layers = [module for module in model.modules() if isinstance(module, PackedLinear)]
    return sum(layer.num_bytes for layer in layers)


def _pack(weight_NK: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_NK.contiguous(), ROWS)
    return packed
