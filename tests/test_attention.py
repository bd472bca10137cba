# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over a cache, against the textbook."""

import math

import pytest
import torch

from vlo_ros.attention import Segment, attend_segments
from vlo_ros.kv_cache import KVCache

CPU = torch.device('cpu')


class Layer(torch.nn.Module):
    """Stands for an attention layer."""

    layer_idx = 1


def textbook(query_HTE, keys_GSE, values_GSE):
    """Every query sees all keys up to its own position; heads share keys in groups."""
    num_heads, num_new, head_dim = query_HTE.shape
    num_all = keys_GSE.shape[1]
    output = torch.empty(num_heads, num_new, head_dim)
    for head in range(num_heads):
        group = head * len(keys_GSE) // num_heads
        for row in range(num_new):
            seen = num_all - num_new + row + 1
            scores = keys_GSE[group, :seen] @ query_HTE[head, row] / math.sqrt(head_dim)
            output[head, row] = scores.softmax(0) @ values_GSE[group, :seen]
    return output


def make_cache(num_kv_heads, past, capacity=300):
    cache = KVCache(2, num_kv_heads, capacity, 8, torch.ones(4), torch.float32, CPU)
    cache.keys_LGCE[1, :, :past] = torch.randn(num_kv_heads, past, 8)
    cache.values_LGCE[1, :, :past] = torch.randn(num_kv_heads, past, 8)
    cache.commit(past)
    return cache


@pytest.mark.parametrize('num_kv_heads', [1, 2, 4])
@pytest.mark.parametrize(('past', 'num_new'), [(0, 1), (0, 9), (17, 1), (17, 5), (3, 130)])
def test_it_is_causal_attention_over_what_was_and_what_is_new(num_kv_heads, past, num_new):
    torch.manual_seed(past + num_new)
    cache = make_cache(num_kv_heads, past)
    query = torch.randn(1, 4, num_new, 8)
    key, value = torch.randn(2, 1, num_kv_heads, num_new, 8)
    segment = Segment(torch.zeros(num_new, 1), cache, (0,))
    output, _ = attend_segments(
        Layer(), query, key, value, None, segments=[segment], scaling=8**-0.5
    )
    keys = torch.cat((cache.keys_LGCE[1, :, :past], key[0]), dim=1)
    values = torch.cat((cache.values_LGCE[1, :, :past], value[0]), dim=1)
    assert output.shape == (1, num_new, 4, 8)
    wanted = textbook(query[0], keys, values)
    torch.testing.assert_close(output[0].transpose(0, 1), wanted, atol=1e-5, rtol=1e-5)
    assert cache.length == past  # a step counts when it is committed


def test_segments_are_kept_apart():
    torch.manual_seed(0)
    caches = [make_cache(2, past) for past in (5, 40, 0)]
    sizes = (3, 1, 6)
    query = torch.randn(1, 4, 10, 8)
    key, value = torch.randn(2, 1, 2, 10, 8)
    segments = [
        Segment(torch.zeros(size, 1), cache, (0,))
        for size, cache in zip(sizes, caches, strict=True)
    ]
    together, _ = attend_segments(
        Layer(), query, key, value, None, segments=segments, scaling=8**-0.5
    )
    start = 0
    for size, cache, segment in zip(sizes, caches, segments, strict=True):
        rows = slice(start, start + size)
        keys = torch.cat((cache.keys_LGCE[1, :, : cache.length], key[0, :, rows]), dim=1)
        values = torch.cat((cache.values_LGCE[1, :, : cache.length], value[0, :, rows]), dim=1)
        wanted = textbook(query[0, :, rows], keys, values)
        torch.testing.assert_close(together[0, rows].transpose(0, 1), wanted, atol=1e-5, rtol=1e-5)
        assert segment.num_tokens == size
        start += size


@pytest.mark.gpu
@pytest.mark.parametrize(('past', 'num_new'), [(0, 9), (17, 1), (17, 5)])
def test_on_a_gpu_as_on_the_processor(past, num_new):
    torch.manual_seed(0)
    cache = make_cache(2, past)
    gpu = KVCache(2, 2, 300, 8, torch.ones(4), torch.float32, torch.device('cuda'))
    gpu.keys_LGCE.copy_(cache.keys_LGCE)
    gpu.values_LGCE.copy_(cache.values_LGCE)
    gpu.commit(past)
    query, key, value = (torch.randn(1, heads, num_new, 8) for heads in (4, 2, 2))
    outputs = []
    for each, device in ((cache, 'cpu'), (gpu, 'cuda')):
        segment = Segment(torch.zeros(num_new, 1), each, (0,))
        output, _ = attend_segments(
            Layer(),
            query.to(device),
            key.to(device),
            value.to(device),
            None,
            segments=[segment],
            scaling=8**-0.5,
        )
        outputs.append(output.cpu())
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
