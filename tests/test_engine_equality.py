# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast equals plain: chunks, evictions and batches against one frame at a time."""

from __future__ import annotations

import collections
import random

import pytest

from tests.plain_stream import PlainStream
from tests.random_streams import (
    TinyModel,
    check_same,
    log_of,
    play,
    put,
    random_stream,
    tiny_model,
)
from vlo_ros.batch import StreamBatch

# `python -m pytest -m slow tests/test_engine_equality.py` proves 10,000 streams.
NUM_STREAMS = {'few': 120, 'all': 10_000}
SMALL_WINDOW = 260


@pytest.fixture(scope='module', params=['live1+', 'live1'])
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return tiny_model(request.param)


@pytest.mark.parametrize('count', ['few', pytest.param('all', marks=pytest.mark.slow)])
def test_chunks_equal_an_ordinary_cache(tiny: TinyModel, count: str) -> None:
    """Half of the streams: everything kept, against transformers' own cache and attention."""
    seeds = _seeds(count)
    verdicts: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        given = random_stream(seed, tiny)
        plain = PlainStream(tiny.plain, tiny.vlo.template, given.config)
        expected = plain.run(given.frames, list(given.queries))
        check_same(log_of(play(tiny, given)), expected, f'seed {seed}: {given.config}')
        verdicts.update(entry[3] for entry in expected if entry[0] == 'frame')
    # The streams are worth something only if both happen often.
    assert min(verdicts['silent'], verdicts['respond']) > len(seeds), verdicts


@pytest.mark.parametrize('count', ['few', pytest.param('all', marks=pytest.mark.slow)])
def test_chunks_equal_single_frames_when_evicting(tiny: TinyModel, count: str) -> None:
    """The other half: a window that fills again and again, against one frame at a time."""
    num_evicted = 0
    for seed in _seeds(count):
        given = random_stream(seed, tiny, window_tokens=SMALL_WINDOW)
        expected = log_of(play(tiny, given, chunk='1'))
        stream = put(tiny, given)
        outcomes = list(stream.advance(flush=True))
        check_same(log_of(outcomes), expected, f'seed {seed}: {given.config}')
        num_evicted += stream.num_evictions > 0
    assert num_evicted > 0


def test_a_batch_gives_each_stream_what_it_gives_alone(tiny: TinyModel) -> None:
    seed = random.randrange(1 << 30)
    for start in range(seed, seed + 5):
        given = {
            f'camera{number}': random_stream(start * 8 + number, tiny, window_tokens=window)
            for number, window in enumerate((0, SMALL_WINDOW, 0, SMALL_WINDOW))
        }
        expected = {name: log_of(play(tiny, one)) for name, one in given.items()}
        batch = StreamBatch({name: put(tiny, one) for name, one in given.items()})
        found: dict[str, list] = {name: [] for name in given}
        for name, outcome in batch.advance(flush=True):
            found[name].append(outcome)
        for name, outcomes in found.items():
            check_same(log_of(outcomes), expected[name], f'seed {start}: {name}')


def _seeds(count: str) -> range:
    """Consecutive seeds from a random start; half of them for each kind and variant."""
    start = random.randrange(1 << 30)
    print(f'seeds from {start}')
    return range(start, start + NUM_STREAMS[count] // 4)
