# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forwards of fixed shape give what forwards of just the length give; here without capture."""

from __future__ import annotations

import random
from unittest import mock

import torch

from tests.random_streams import check_same, log_of, play, random_stream, tiny_model
from vlo_ros import cuda_graphs
from vlo_ros.attention import Segment


def test_static_shapes_give_the_same_streams() -> None:
    seed = random.randrange(1 << 30)
    free, static = tiny_model('live1+'), tiny_model('live1+')
    static.vlo.language.use_static_shapes(capture=False)
    for number in range(seed, seed + 12):
        given = random_stream(number, free, window_tokens=400)
        with mock.patch.object(cuda_graphs, 'CONTEXTS', (128, 256)):
            found = log_of(play(static, given))
        check_same(found, log_of(play(free, given)), f'seed {number}: {given.config}')


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
