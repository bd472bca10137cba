# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What packed weights and the CPU attention bring, against PyTorch's own path.

    python -m bench.layers [--threads 1] [--output OUT.json]

The linear layers and the attention of all 12 layers of the 125 M shape; processor time, best of 7.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bench import machine
from bench.random_models import LLAMA_125M
from vlo_ros import attention, onednn

CPU = torch.device('cpu')
LAYERS = LLAMA_125M.num_hidden_layers


def main() -> None:
    """Measure and print one table."""
    parser = machine.parser(__doc__)
    parser.add_argument('--threads', type=int, default=1)
    arguments = parser.parse_args()
    machine.tune_allocator('bench.layers')
    torch.set_num_threads(arguments.threads)
    rows = []
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            rows += [_linear(dtype, tokens) for tokens in (1, 11, 88, 352)]
            rows += [_attention(dtype, *shape) for shape in ((11, 1100), (11, 7000), (88, 1200))]
    machine.write_result(arguments.output, {'machine': machine.describe(CPU), 'layers': rows})


def _linear(dtype: torch.dtype, num_tokens: int) -> dict[str, Any]:
    hidden, inner = LLAMA_125M.hidden_size, LLAMA_125M.intermediate_size
    sizes = [
        (hidden, hidden),
        (hidden, 512),
        (hidden, hidden),
        (hidden, 2 * inner),
        (inner, hidden),
    ]
    plain = [nn.Linear(*size, bias=False, dtype=dtype) for size in sizes * LAYERS]
    packed = [onednn.PackedLinear(linear) for linear in plain]
    inputs = {size: torch.randn(num_tokens, size, dtype=dtype) for size in (hidden, inner)}

    def run(layers: list[Any]) -> None:
        for layer in layers:
            layer(inputs[layer.in_features])

    return _row('linear', dtype, f'{num_tokens} tokens', partial(run, plain), partial(run, packed))


def _attention(dtype: torch.dtype, num_new: int, num_all: int) -> dict[str, Any]:
    heads, kv_heads = LLAMA_125M.num_attention_heads, LLAMA_125M.num_key_value_heads
    head_dim = LLAMA_125M.hidden_size // heads
    query_HTE = torch.randn(heads, num_new, head_dim, dtype=dtype)
    capacity = LLAMA_125M.max_position_embeddings
    keys_LGCE, values_LGCE = torch.randn(2, LAYERS, kv_heads, capacity, head_dim, dtype=dtype)
    mask_TS = torch.full((num_new, num_all), -torch.inf, dtype=dtype).triu(num_all - num_new + 1)

    def fused() -> None:
        for keys_GCE, values_GCE in zip(keys_LGCE, values_LGCE, strict=True):
            functional.scaled_dot_product_attention(
                query_HTE[None],
                keys_GCE[None, :, :num_all],
                values_GCE[None, :, :num_all],
                mask_TS,
                enable_gqa=True,
            )

    def products() -> None:
        for keys_GCE, values_GCE in zip(keys_LGCE, values_LGCE, strict=True):
            attention._attend_by_head(query_HTE, keys_GCE, values_GCE, num_all, head_dim**-0.5)

    return _row('attention', dtype, f'{num_new} over {num_all}', fused, products)


def _row(what: str, dtype: torch.dtype, size: str, theirs: Any, ours: Any) -> dict[str, Any]:
    before, after = (machine.least_of(machine.cpu_seconds, call) * 1e3 for call in (theirs, ours))
    return {
        'what': what, 'format': str(dtype).removeprefix('torch.'), 'size': size,
        'pytorch_ms': before, 'ours_ms': after, 'ratio': before / after,
    }  # fmt: skip


if __name__ == '__main__':
    main()
