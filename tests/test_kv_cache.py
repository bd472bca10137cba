# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream's memory: append, truncate, evict and re-anchor, reset."""

import pytest
import torch
from transformers import DynamicCache

from tests.tiny_models import make_model_folders
from tests.unrotated_keys import UnrotatedKeys
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import load_base, load_model
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CacheFullError
from vlo_ros.kv_cache import KVCache

FAMILIES = ('llama', 'llama3_rope', 'mistral_tekken', 'qwen3')


@pytest.fixture(scope='module', params=FAMILIES)
def config(request, tmp_path_factory):
    folders = make_model_folders(tmp_path_factory.mktemp(request.param), request.param)
    return ModelConfig(**folders)


@pytest.fixture(scope='module')
def language(config):
    return load_model(config).language


def feed(language, cache, ids):
    return language.forward([Segment(language.embed(ids), cache, tuple(range(len(ids))))])[0]


def some_ids(language, count, seed=0):
    torch.manual_seed(seed)
    return torch.randint(language.config.vocab_size, (count,)).tolist()


@pytest.mark.parametrize(
    'evictions', [[(4, 20)], [(0, 1)], [(7, 60)], [(10, 25), (10, 12), (0, 20)], [(5, 5)]]
)
def test_eviction_equals_rotary_at_compact_positions(language, evictions):
    """The reference stores unrotated keys and turns them to where they stand now."""
    cache, slow = language.new_cache(64), UnrotatedKeys(language.model)
    feed(language, cache, some_ids(language, 60))
    slow.close()
    kept = list(range(60))
    for start, end in evictions:
        cache.evict(start, end)
        del kept[start:end]
    keys, values = slow.keep(kept)
    assert cache.length == len(kept)
    assert cache.num_evicted == 60 - len(kept)
    torch.testing.assert_close(cache.keys_LGCE[:, :, : len(kept)], keys, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cache.values_LGCE[:, :, : len(kept)], values)
    reference = language.new_cache(64)
    reference.keys_LGCE[:, :, : len(kept)] = keys
    reference.values_LGCE[:, :, : len(kept)] = values
    reference.commit(len(kept))
    then = some_ids(language, 4, seed=1)
    torch.testing.assert_close(
        feed(language, cache, then), feed(language, reference, then), atol=1e-4, rtol=1e-4
    )


def test_logits_with_and_without_reanchoring_agree(config, language):
    """The reference keeps the keys it has and goes on counting positions from where it was."""
    plain, _ = load_base(config, torch.device('cpu'), torch.float32, attention='sdpa')
    table = plain.get_input_embeddings().weight
    assert torch.equal(table[:9], language.embed(range(9))), 'the models must be one'
    cache, kept = language.new_cache(64), DynamicCache()
    prompts = [some_ids(language, count, seed=count) for count in (50, 9, 25)]
    words = [some_ids(language, 1, seed=seed) for seed in range(12)]
    position = 0
    for ids, num_evicted in zip(prompts + words, (20, 0, 37, *[0] * 12), strict=True):
        found = feed(language, cache, ids)
        with torch.inference_mode():
            wanted = plain(
                torch.tensor([ids]),
                position_ids=torch.arange(position, position + len(ids))[None],
                past_key_values=kept,
            ).logits[0]
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
        position += len(ids)
        cache.evict(0, num_evicted)
        for layer in kept.layers:
            layer.keys = layer.keys[:, :, num_evicted:]
            layer.values = layer.values[:, :, num_evicted:]
    assert (cache.length, cache.num_evicted, position) == (39, 57, 96)


def test_scores_among_moved_positions_stay_what_they_were(language):
    """A query that moves as its keys do sees them at the same angles."""
    cache = language.new_cache(64)
    feed(language, cache, some_ids(language, 60))
    keys = cache.keys_LGCE.clone()
    before = keys[:, :, 30:60] @ keys[:, :, 30:60].transpose(-1, -2)
    cache.evict(3, 30)
    moved = cache.keys_LGCE[:, :, 3:33]
    after = moved @ moved.transpose(-1, -2)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cache.keys_LGCE[:, :, :3], keys[:, :, :3])


def test_reset_equals_fresh(language):
    used, fresh = language.new_cache(64), language.new_cache(64)
    feed(language, used, some_ids(language, 50))
    used.evict(3, 30)
    used.reset()
    assert (used.length, used.num_evicted) == (0, 0)
    ids = some_ids(language, 40, seed=1)
    assert torch.equal(feed(language, used, ids), feed(language, fresh, ids))


def test_a_forward_that_fails_half_way_changes_nothing(language, monkeypatch):
    cache, other = language.new_cache(64), language.new_cache(64)
    ids, then = some_ids(language, 20), some_ids(language, 10, seed=1)
    for each in (cache, other):
        feed(language, each, ids)
    last = language.model.model.layers[-1]

    def fails(*args, **options):
        raise torch.OutOfMemoryError('out of memory')

    with monkeypatch.context() as patch:
        patch.setattr(last.mlp, 'forward', fails)
        with pytest.raises(torch.OutOfMemoryError):
            feed(language, cache, some_ids(language, 30, seed=2))
    assert cache.length == 20
    assert torch.equal(feed(language, cache, then), feed(language, other, then))


def make_cache(capacity=16, dtype=torch.float32):
    frequencies = 10000.0 ** -(torch.arange(0, 8, 2) / 8)
    return KVCache(2, 3, capacity, 8, frequencies, dtype, torch.device('cpu'))


def test_memory_is_what_it_says_and_never_grows():
    cache = make_cache()
    assert cache.num_bytes == 2 * 2 * 3 * 16 * 8 * 4
    keys, values = cache.keys_LGCE, cache.values_LGCE
    pointer = keys.data_ptr()
    for _ in range(50):
        new = torch.randn(3, 5, 8)
        for layer in range(2):
            cache.write(layer, new, new)
        cache.commit(5)
        if cache.length > 10:
            cache.evict(2, 9)
        cache.truncate(cache.length - 1)
    assert cache.keys_LGCE is keys and cache.values_LGCE is values
    assert keys.data_ptr() == pointer
    assert cache.num_bytes == 2 * 2 * 3 * 16 * 8 * 4


def test_what_does_not_fit_is_refused():
    cache = make_cache()
    cache.commit(10)
    cache.check_room(6)
    with pytest.raises(CacheFullError, match='7 new positions do not fit, 10 of 16 are in use'):
        cache.check_room(7)
    assert cache.length == 10


def test_write_without_commit_is_forgotten():
    cache = make_cache()
    first, second = torch.randn(3, 4, 8), torch.randn(3, 2, 8)
    assert cache.write(0, first, first) == 4
    assert cache.write(0, second, second) == 2
    cache.commit(2)
    assert cache.write(0, first, first) == 6
    kept = torch.cat((second, first), dim=1)
    assert torch.equal(cache.keys_LGCE[0, :, :6], kept)
    assert torch.equal(cache.values_LGCE[0, :, :6], kept)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_eviction_in_half_precision_rounds_once(dtype):
    exact, half = make_cache(), make_cache(dtype=dtype)
    new = torch.randn(3, 16, 8).to(dtype)
    for cache in (exact, half):
        cache.write(0, new, new)
        cache.commit(16)
        cache.evict(2, 9)
    wanted = exact.keys_LGCE[0, :, :9]
    torch.testing.assert_close(half.keys_LGCE[0, :, :9], wanted.to(dtype), atol=0, rtol=0)
