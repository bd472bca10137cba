# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every family over our cache and attention gives what its own implementation gives."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import FAMILIES, make_model_folders
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import load_model
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CacheFullError, ConfigError
from vlo_ros.language_model import attention_shape, trained_positions, warning_of_window


@pytest.fixture(scope='module', params=FAMILIES)
def family(request, tmp_path_factory):
    """A tiny random model of each family, and transformers' own."""
    root = tmp_path_factory.mktemp(request.param)
    folders = make_model_folders(root, request.param)
    plain = AutoModelForCausalLM.from_pretrained(folders['llm'], attn_implementation='eager')
    return load_model(ModelConfig(**folders)), plain.eval()


def logits_of(plain, ids):
    with torch.inference_mode():
        return plain(input_ids=torch.tensor([ids])).logits[0]


def feed(language, cache, ids, read_rows=None):
    rows = tuple(range(len(ids))) if read_rows is None else read_rows
    return language.forward([Segment(language.embed(ids), cache, rows)])[0]


def some_ids(language, count, seed=0):
    torch.manual_seed(seed)
    return torch.randint(language.config.vocab_size, (count,)).tolist()


@pytest.mark.parametrize('sizes', [[60], [1] * 60, [7, 1, 1, 30, 2, 19], [48, 12]])
def test_piece_by_piece_equals_one_shot(family, sizes):
    language, plain = family[0].language, family[1]
    ids, cache = some_ids(language, 60), language.new_cache(60)
    parts, start = [], 0
    for size in sizes:
        parts.append(feed(language, cache, ids[start : start + size]))
        start += size
    torch.testing.assert_close(torch.cat(parts), logits_of(plain, ids), atol=1e-4, rtol=1e-4)
    assert cache.length == cache.capacity == 60


def test_streams_side_by_side_do_not_see_each_other(family):
    language, plain = family[0].language, family[1]
    both = [some_ids(language, 40, seed) for seed in (1, 2)]
    caches = [language.new_cache(50), language.new_cache(64)]
    for begin, end in ((0, 9), (9, 33), (33, 40)):
        segments = [
            Segment(language.embed(ids[begin:end]), cache, (end - begin - 1,))
            for ids, cache in zip(both, caches, strict=True)
        ]
        logits = language.forward(segments)
    for ids, logits_1K in zip(both, logits, strict=True):
        torch.testing.assert_close(logits_1K[0], logits_of(plain, ids)[-1], atol=1e-4, rtol=1e-4)


def test_what_is_truncated_leaves_no_trace(family):
    language, plain = family[0].language, family[1]
    cache = language.new_cache(60)
    kept, wrong, then = (some_ids(language, n, seed) for n, seed in ((20, 3), (25, 4), (10, 5)))
    feed(language, cache, kept)
    feed(language, cache, wrong)
    cache.truncate(20)
    logits = feed(language, cache, then)
    torch.testing.assert_close(logits, logits_of(plain, kept + then)[20:], atol=1e-4, rtol=1e-4)


def test_only_the_rows_that_are_read_go_through_the_head(family):
    language, plain = family[0].language, family[1]
    ids, cache = some_ids(language, 30), language.new_cache(30)
    heads = []
    head = language.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda *args: heads.append(args[1][0].shape[0]))
    logits = feed(language, cache, ids, (3, 29))
    hook.remove()
    assert heads == [2]
    torch.testing.assert_close(logits, logits_of(plain, ids)[[3, 29]], atol=1e-4, rtol=1e-4)


def test_a_full_cache_is_told_before_anything_changes(family):
    language, _ = family[0].language, family[1]
    caches = [language.new_cache(20), language.new_cache(10)]
    ids = some_ids(language, 12)
    feed(language, caches[0], ids[:3])
    before = caches[0].keys_LGCE.clone()
    with pytest.raises(CacheFullError, match='12 new positions do not fit, 0 of 10 are in use'):
        language.forward([Segment(language.embed(ids), cache, (0,)) for cache in caches])
    assert [cache.length for cache in caches] == [3, 0]
    assert torch.equal(caches[0].keys_LGCE, before)


def test_the_default_window_is_what_the_model_was_trained_for(family, caplog):
    language = family[0].language
    assert language.new_cache(0).capacity == language.trained_positions
    assert language.new_cache(language.trained_positions).capacity == language.trained_positions
    assert not caplog.records


def test_a_larger_window_is_given_with_one_warning(family, caplog):
    language = family[0].language
    wanted = language.trained_positions + 1
    for _ in range(2):
        assert language.new_cache(wanted).capacity == wanted
    (record,) = caplog.records
    assert record.getMessage().startswith(f'stream.window_tokens: {wanted} is more than the')
    assert '\n' not in record.getMessage()


@pytest.mark.parametrize('rope_type', ['dynamic', 'longrope'])
def test_a_larger_window_is_refused_where_keys_could_not_be_re_anchored(rope_type):
    config = Config(max_position_embeddings=512, rope_parameters={'rope_type': rope_type})
    assert warning_of_window(512, config) is None
    with pytest.raises(ConfigError, match=f"rope_type '{rope_type}' at most 512"):
        warning_of_window(513, config)


class Config:
    """Stands for a config.json."""

    def __init__(self, **values):
        self.__dict__.update(values)


def test_trained_positions():
    assert trained_positions(Config(max_position_embeddings=8192)) == 8192
    scaled = {'original_max_position_embeddings': 4096}
    assert trained_positions(Config(max_position_embeddings=32768, rope_scaling=scaled)) == 4096
    mistral = Config(max_position_embeddings=32768, sliding_window=4096)
    assert trained_positions(mistral) == 4096
    qwen = Config(max_position_embeddings=32768, sliding_window=4096, use_sliding_window=False)
    assert trained_positions(qwen) == 32768


def test_attention_shape():
    assert attention_shape(Config(num_attention_heads=4, hidden_size=64)) == (16, 4)
    qwen = Config(num_attention_heads=4, hidden_size=64, head_dim=32, num_key_value_heads=2)
    assert attention_shape(qwen) == (32, 2)
