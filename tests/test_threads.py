# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder share the processor instead of fighting for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vlo_ros.threads import ThreadShares, share_threads, use_threads


@pytest.mark.parametrize(
    ('total', 'encode', 'decode'), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (8, 4, 4), (9, 4, 5)]
)
def test_threads_are_shared_in_halves(total, encode, decode):
    assert share_threads(total) == ThreadShares(encode, decode)


def test_by_default_what_pytorch_would_take_is_shared(monkeypatch):
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 6)
    assert share_threads() == ThreadShares(3, 3)


def test_a_lane_takes_its_threads_and_leaves_the_others_theirs():
    def lane(count):
        use_threads(count)
        return torch.get_num_threads()

    assert lane(1) == 1
    with ThreadPoolExecutor(1) as encode, ThreadPoolExecutor(1) as decode:
        for _ in range(2):  # the second time each finds what it took before
            assert encode.submit(lane, 3).result() == 3
            assert decode.submit(lane, 2).result() == 2
        assert encode.submit(torch.get_num_threads).result() == 3
    assert torch.get_num_threads() == 1
