# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On a GPU: captured forwards, the encoder's own stream, and agreement with the CPU."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from tests.chance import source_of_chance
from tests.live import GOLDEN
from tests.random_streams import check_same, log_of, play, put, random_stream, tiny_model
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config

# What driver and libraries warn of differs from machine to machine.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings('default')]


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)


@pytest.mark.parametrize('variant', ['live1+', 'live1'])
def test_captured_streams_equal_eager_ones(variant: str, caplog: pytest.LogCaptureFixture) -> None:
    captured, eager = tiny_model(variant, 'cuda'), tiny_model(variant, 'cuda')
    eager.vlo.language.use_any_shape()
    seed = source_of_chance().randrange(1 << 30)
    for number in range(seed, seed + 30):
        given = random_stream(number, captured, window_tokens=400)
        check_same(log_of(play(captured, given)), log_of(play(eager, given)), f'seed {number}')
    # The graphs themselves are gone with their streams.
    assert captured.vlo.language._static.num_captured > 0
    assert not caplog.records, 'a graph was not captured'


def test_graphs_outlive_those_of_other_streams(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that goes takes nothing along that the graphs of others use."""
    captured, eager = tiny_model('live1+', 'cuda'), tiny_model('live1+', 'cuda')
    eager.vlo.language.use_any_shape()
    seed = source_of_chance().randrange(1 << 30)
    given = [random_stream(seed + number, captured, window_tokens=400) for number in range(3)]
    wanted = [log_of(play(eager, one)) for one in given]
    kept, gone = put(captured, given[0]), put(captured, given[1])
    check_same(log_of(list(gone.advance(flush=True))), wanted[1], f'seed {seed}: going')
    del gone
    gc.collect()
    torch.cuda.empty_cache()
    taken = [torch.full((1 << 20,), torch.nan, device='cuda') for _ in range(64)]
    check_same(log_of(list(kept.advance(flush=True))), wanted[0], f'seed {seed}: kept')
    del kept, taken
    check_same(log_of(play(captured, given[2])), wanted[2], f'seed {seed}: after the others')
    assert not caplog.records, 'a graph was not captured'


def test_cuda_streams_equal_cpu_ones() -> None:
    on_gpu, on_cpu = tiny_model('live1+', 'cuda'), tiny_model('live1+')
    seed = source_of_chance().randrange(1 << 30)
    for number in range(seed, seed + 30):
        given = random_stream(number, on_gpu), random_stream(number, on_cpu)
        check_same(
            log_of(play(on_gpu, given[0])), log_of(play(on_cpu, given[1])), f'seed {number}'
        )


def test_frames_of_any_size_give_nearly_the_cpu_tokens() -> None:
    """The GPU letterboxes in float: a pixel may differ by one step of 255."""
    path = GOLDEN / 'live1plus' / 'model.yaml'
    models = [load_model(load_config(path, device=name, dtype='float32').model)
              for name in ('cpu', 'cuda')]  # fmt: skip
    image_HWC = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    pixels = [model.tower.load_pixels([image_HWC]).cpu().int() for model in models]
    assert (pixels[0] - pixels[1]).abs().max() <= 1
    tokens = [model.encode_pixels(model.tower.load_pixels([image_HWC])).cpu() for model in models]
    assert torch.nn.functional.cosine_similarity(*tokens, dim=-1).min() > 0.99
