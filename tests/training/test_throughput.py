# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a step has to compute, counted by hand for small models."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from training.throughput import StepCost, peak_tflops

CONFIG = SimpleNamespace(
    hidden_size=4, intermediate_size=8, num_attention_heads=2, num_key_value_heads=1,
    num_hidden_layers=3, vocab_size=10,
)  # fmt: skip
WEIGHTS = 2 * 16 + 2 * 8 + 3 * 32  # q and o, k and v, three of the feed-forward
LORA = 2 * 8 + 2 * 6 + 3 * 12  # rows and columns of each, rank 1
ROW = [[-100, 1, -100, 2]]


def batch(labels, **more):
    return {'labels': torch.tensor(labels), **{k: torch.tensor(v) for k, v in more.items()}}


def expected(num_positions, pairs, num_labelled, times, lora=0):
    layer = 2 * (WEIGHTS * times + 3 * lora) * num_positions + 3 * 2 * 2 * 4 * pairs
    return 3 * layer + 2 * 4 * 10 * num_labelled * times


def test_every_weight_is_trained() -> None:
    assert StepCost(CONFIG, 0).flops(batch(ROW)) == expected(4, 1 + 2 + 3 + 4, 2, 3)


def test_frozen_weights_have_no_gradient() -> None:
    assert StepCost(CONFIG, 1).flops(batch(ROW)) == expected(4, 10, 2, 2, LORA)


@pytest.mark.parametrize(
    ('one', 'num_positions', 'pairs'),
    [
        (batch([[-100, 1, 2], [3, -100, -100]]), 3 + 1, 6 + 1),  # padded behind
        (batch([[-100, 1, 2], [-100, -100, 3]], attention_mask=[[1, 1, 1], [0, 1, 1]]), 5, 6 + 3),
        (batch([[-100, 1, 2, -100, 3]], position_ids=[[0, 1, 2, 0, 1]]), 5, 6 + 3),  # packed
        (batch([[4, 1, 2]], position_ids=[[0, 7, 8]]), 3, 6),  # a gap is no position
    ],
)
def test_padding_and_other_conversations_cost_nothing(one, num_positions, pairs) -> None:
    assert StepCost(CONFIG, 0).flops(one) == expected(num_positions, pairs, 3, 3)


@pytest.mark.parametrize(
    ('name', 'peak'),
    [
        ('NVIDIA H100 80GB HBM3', 989),
        ('NVIDIA H100 PCIe', 756),
        ('NVIDIA L4', 121),
        ('NVIDIA A100-SXM4-80GB', 312),
        ('NVIDIA L40', None),
        ('NVIDIA H100 NVL', None),
        ('NVIDIA GeForce RTX 4090 Laptop GPU', None),
        ('GT 9', None),
    ],
)
def test_peaks_are_known_by_name(monkeypatch, name, peak) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: name)
    assert peak_tflops() == peak
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert peak_tflops() is None
