# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of what a device can do a training step uses."""

# Shapes: B conversations, T positions.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from vlo_ros.page import IGNORE

# Dense bfloat16, in TFLOP/s, as the makers' data sheets have it; more words come first.
_PEAKS = {
    'H100 PCIe': 756.0, 'H100': 989.0, 'H200': 989.0, 'A100': 312.0, 'L40S': 362.0, 'L4': 121.0,
    'RTX 4090': 165.0, 'RTX 3090': 71.0,
}  # fmt: skip
_OTHER_CARDS = {'NVL', 'Laptop', 'Ti', 'D', 'MIG'}  # the same name, and another data sheet


@dataclass(frozen=True)
class StepCost:
    """Counts what a step has to compute: nothing for padding, recomputing or ignored positions.

    A product with a trained matrix counts three times (forward, and the gradients of both), with
    a frozen one twice. The connector is left out.

    Attributes:
        config: Of the language model.
        lora_rank: 0 where every weight is trained.
    """

    config: Any
    lora_rank: int

    def flops(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Floating-point operations of one batch, forward and backward."""
        config, times = self.config, 2 if self.lora_rank else 3
        hidden, inner = config.hidden_size, config.intermediate_size
        kv_dim = hidden // config.num_attention_heads * config.num_key_value_heads
        matrices = [(hidden, hidden)] * 2 + [(hidden, kv_dim)] * 2 + [(hidden, inner)] * 3
        weights = sum(rows * columns for rows, columns in matrices) * times
        weights += sum(self.lora_rank * (rows + columns) for rows, columns in matrices) * 3
        seen = _positions(batch)
        attention = 3 * 2 * 2 * hidden * float((seen + 1).sum())  # scores and sums: no weights
        num_labelled = int((batch['labels'] != IGNORE).sum())
        head = 2 * hidden * config.vocab_size * num_labelled * times
        return float(config.num_hidden_layers * (2 * weights * len(seen) + attention) + head)


def _positions(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """How many positions each real one has in front of it, (real positions,)."""
    labels_BT = batch['labels']
    counted_BT = torch.arange(labels_BT.shape[1]).expand(labels_BT.shape)
    mask_BT = batch.get('attention_mask')
    if mask_BT is not None:
        return (mask_BT.cumsum(dim=1) - 1)[mask_BT.bool()]
    if len(labels_BT) == 1:  # packed, or alone
        return _restarting(batch.get('position_ids', counted_BT)[0])
    last_B1 = ((labels_BT != IGNORE) * counted_BT).amax(dim=1, keepdim=True)
    return counted_BT[counted_BT <= last_B1]


def _restarting(position_ids_T: torch.Tensor) -> torch.Tensor:
    """Positions counted without gaps from each place where they restart at 0."""
    places_T = torch.arange(len(position_ids_T))
    return places_T - torch.where(position_ids_T == 0, places_T, 0).cummax(dim=0).values


def peak_tflops() -> float | None:
    """What the data sheet of the GPU promises, TFLOP/s; None where it is not known."""
    if not torch.cuda.is_available():
        return None
    return peak_of(torch.cuda.get_device_name())


def peak_of(device_name: str) -> float | None:
    """The same for a device name such as 'NVIDIA A100-SXM4-80GB'."""
    words = set(device_name.replace('-', ' ').split())
    if words & _OTHER_CARDS:
        return None
    return next((peak for known, peak in _PEAKS.items() if set(known.split()) <= words), None)
