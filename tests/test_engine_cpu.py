# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packed weights, oneDNN attention and quantization give what the plain layers give, or say no."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from vlo_ros import attention, onednn
from vlo_ros.errors import ConfigError
from vlo_ros.quantization import quantize

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
needs_onednn = pytest.mark.skipif(not onednn.is_available(), reason='no oneDNN operations here')


@needs_onednn
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('bias', [True, False])
def test_packed_layers_equal_plain_ones(dtype: torch.dtype, bias: bool) -> None:
    model = nn.Sequential(nn.Linear(48, 64, bias), nn.GELU(), nn.Linear(64, 20, bias)).to(dtype)
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    inputs = torch.randn(2, 5, 48).to(dtype)
    with torch.inference_mode():
        expected = model(inputs)
        onednn.pack_linears(model)
        found = model(inputs)
    assert not list(model.parameters())
    assert onednn.packed_bytes(model) == num_bytes
    torch.testing.assert_close(found, expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_subclasses_of_linear_are_left_alone() -> None:
    block = nn.MultiheadAttention(8, 2)
    projection = block.out_proj
    onednn.pack_linears(block)
    assert block.out_proj is projection


def test_without_the_operations_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, 'is_available', lambda: False)
    model = nn.Sequential(nn.Linear(8, 8))
    onednn.pack_linears(model)
    assert type(model[0]) is nn.Linear


@needs_onednn
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize(
    ('num_new', 'num_all'),
    [(1, 1), (1, 512), (11, 11), (13, 300), (11, 515), (230, 560), (9, 600)],
)
def test_attention_equals_that_of_expanded_heads(
    dtype: torch.dtype, num_new: int, num_all: int
) -> None:
    generator = torch.Generator().manual_seed(5)
    query_HTE = torch.randn(6, num_new, 16, generator=generator).to(dtype)
    cache_2GCE = torch.randn(2, 2, 600, 16, generator=generator).to(dtype)
    keys_GSE, values_GSE = cache_2GCE[:, :, :num_all].clone()
    cache_2GCE[:, :, num_all:] = torch.nan  # what was truncated must not matter
    rows_T = torch.arange(num_all - num_new, num_all)
    mask_TS = torch.arange(num_all)[None] <= rows_T[:, None]
    expected_HTE = functional.scaled_dot_product_attention(
        query_HTE.float(),
        keys_GSE.float().repeat_interleave(3, dim=0),
        values_GSE.float().repeat_interleave(3, dim=0),
        attn_mask=mask_TS,
        scale=0.2,
    )
    with torch.inference_mode():
        found_HTE = attention._attend(query_HTE, *cache_2GCE, num_all, 0.2)
    torch.testing.assert_close(
        found_HTE.float(), expected_HTE, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize('kind', ['int8', 'int4', 'float8'])
def test_quantization_that_cannot_be_had_is_refused_in_one_line(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'torchao', None)
    with pytest.raises(ConfigError, match=r'^model\.quantization: .*' + kind) as refused:
        quantize(nn.Linear(8, 8), kind, torch.device('cpu'))
    assert '\n' not in str(refused.value)


def test_no_quantization_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'torchao', None)
    quantize(nn.Linear(8, 8), 'none', torch.device('cpu'))
