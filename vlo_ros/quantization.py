# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quantization of the language model, through torchao.

Optional: nothing here is imported unless `model.quantization` asks for it. Decisions then differ
from the unquantized model's; docs/engine.md says how to measure by how much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vlo_ros.errors import ConfigError, one_line

INT4_GROUP = 128  # weights that share a scale


def quantize(model: nn.Module, kind: str, device: torch.device) -> None:
    """Hold the linear layers of `model` as `kind` from now on; embeddings keep their format.

    Args:
        model: A language model, LoRA merged.
        kind: 'int8', 'int4' or 'float8'; 'none' does nothing.
        device: Where the model is.

    Raises:
        ConfigError: torchao is not installed, or `kind` does not run on this device.
    """
    if kind == 'none':
        return
    if kind == 'float8' and not (
        device.type == 'cuda' and torch.cuda.get_device_capability(device) >= (8, 9)
    ):
        raise ConfigError(
            "model.quantization: 'float8' needs a GPU of compute capability 8.9 or newer; "
            "'int8' runs everywhere"
        )
    if kind == 'int4' and device.type != 'cuda':
        raise ConfigError("model.quantization: 'int4' needs cuda; 'int8' runs everywhere")
    try:
        from torchao import quantization as torchao
    except ImportError as error:
        raise ConfigError(
            f'model.quantization: {kind!r} needs torchao, which is not installed: '
            'pip install torchao'
        ) from error
    try:
        torchao.quantize_(model, _torchao_config(torchao, kind))
    except (ImportError, RuntimeError, ValueError, AssertionError, AttributeError) as error:
        raise ConfigError(
            f'model.quantization: torchao cannot make {kind!r}: {one_line(error)}'
        ) from error


def _torchao_config(torchao: Any, kind: str) -> Any:
    if kind == 'int8':
        return torchao.Int8WeightOnlyConfig()
    if kind == 'int4':
        # The format of PyTorch's own kernel; torchao's default needs the package mslk.
        return torchao.Int4WeightOnlyConfig(
            group_size=INT4_GROUP, int4_packing_format='tile_packed_to_4d'
        )
    # Activations are rounded too, row by row: only then do the tensor cores take float8.
    return torchao.Float8DynamicActivationFloat8WeightConfig(granularity=torchao.PerRow())
