# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forwards of fixed shape give what forwards of just the length give; here without capture."""

from __future__ import annotations

import pytest
import torch

from tests.chance import seed_of_chance
from tests.random_streams import (
    TinyModel,
    check_same,
    log_of,
    play,
    put,
    random_stream,
    tiny_model,
)
from vlo_ros import cuda_graphs
from vlo_ros.attention import Segment
from vlo_ros.batch import StreamBatch


@pytest.fixture(params=['live1+', 'live1'])
def models(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[TinyModel, TinyModel]:
    """One model fed freely, and again with static shapes that fit small windows."""
    monkeypatch.setattr(cuda_graphs, 'CONTEXTS', (128, 256))
    free, static = tiny_model(request.param), tiny_model(request.param)
    static.vlo.language.use_static_shapes(capture=False)
    return free, static


def test_static_shapes_give_the_same_streams(models: tuple[TinyModel, TinyModel]) -> None:
    free, static = models
    seed = seed_of_chance()
    for number in range(seed, seed + 12):
        given = random_stream(number, free, evicting=number % 2 == 0)
        found = log_of(play(static, given))
        check_same(found, log_of(play(free, given)), f'seed {number}: {given.config}')


def test_a_batch_gives_the_same_with_static_shapes(models: tuple[TinyModel, TinyModel]) -> None:
    """Forwards of one stream take static shapes; where streams meet they may not."""
    free, static = models
    num_static = 0
    seed = seed_of_chance()
    for start in range(seed, seed + 3):
        given = {
            f'camera{number}': random_stream(start * 4 + number, free, evicting=number < 2)
            for number in range(3)
        }
        batch = StreamBatch({name: put(static, one) for name, one in given.items()})
        found: dict[str, list] = {name: [] for name in given}
        for name, outcome in batch.advance(flush=True):
            found[name].append(outcome)
        for name, one in given.items():
            check_same(log_of(found[name]), log_of(play(free, one)), f'seed {start}: {name}')
        num_static += len(static.vlo.language._static._steps)
    assert num_static, 'the static shapes were not used'


def test_the_cache_equals_that_of_a_free_shape() -> None:
    free, static = tiny_model('live1+').vlo.language, tiny_model('live1+').vlo.language
    static.use_static_shapes(capture=False)
    caches = [language.new_cache(96) for language in (free, static)]
    generator = torch.Generator().manual_seed(3)
    for num_tokens, rows in ((20, (19,)), (11, (10,)), (1, (0,)), (33, (10, 21, 32)), (30, (29,))):
        embeddings_TD = torch.randn(num_tokens, 32, generator=generator)
        logits = [
            language.forward([Segment(embeddings_TD, cache, rows)])[0].clone()
            for language, cache in zip((free, static), caches, strict=True)
        ]
        torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)
    used = caches[0].length
    assert used == caches[1].length == 95
    for name in ('keys_LGCE', 'values_LGCE'):
        kept = [getattr(cache, name)[:, :, :used] for cache in caches]
        torch.testing.assert_close(*kept, atol=1e-4, rtol=1e-4)


def test_steps_go_when_their_cache_goes() -> None:
    language = tiny_model('live1+').vlo.language
    language.use_static_shapes(capture=False)
    cache = language.new_cache(64)
    language.forward([Segment(torch.zeros(3, 32), cache, (2,))])
    assert len(language._static._steps) == 1
    del cache
    assert len(language._static._steps) == 0


def test_what_fits_no_shape_runs_freely() -> None:
    language = tiny_model('live1+').vlo.language
    language.use_static_shapes(capture=False)
    cache = language.new_cache(1024)
    (logits_RK,) = language.forward([Segment(torch.zeros(500, 32), cache, (499,))])
    assert len(logits_RK) == 1
    assert cache.length == 500
    assert not language._static._steps.get(cache)
