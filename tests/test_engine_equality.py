# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast equals plain: chunks, evictions and batches against one frame at a time."""

from __future__ import annotations

import collections

import pytest
import torch

from tests.chance import seed_of_chance
from tests.plain_stream import PlainStream
from tests.random_streams import (
    TinyModel,
    check_same,
    log_of,
    play,
    play_in_bursts,
    put,
    random_stream,
    tiny_model,
)
from vlo_ros.attention import Segment
from vlo_ros.batch import StreamBatch

# `python -m pytest -m slow tests/test_engine_equality.py` proves 10,000 streams.
NUM_STREAMS = {'few': 120, 'all': 10_000}
COUNTS = ('few', pytest.param('all', marks=(pytest.mark.slow, pytest.mark.timeout(0))))


@pytest.fixture(scope='module', params=['live1+', 'live1'])
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return tiny_model(request.param)


@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('kept', ['everything', 'a window'])
def test_chunks_equal_an_ordinary_cache(tiny: TinyModel, kept: str, count: str) -> None:
    """Against transformers' own cache and attention, one event per forward.

    A quarter of the streams for each variant with everything kept and with a window that fills;
    every other one of them comes in bursts, some of these while a sentence is decoded.
    """
    seeds = _seeds(count)
    found: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        given = random_stream(seed, tiny, evicting=kept == 'a window')
        plain = PlainStream(tiny.plain, tiny.vlo.template, given.config)
        expected = plain.run(given.frames, list(given.queries))
        if seed % 2:
            stream = put(tiny, given)
            outcomes = list(stream.advance(flush=True))
        else:
            outcomes, num_meanwhile, stream = play_in_bursts(tiny, given)
            found['frames that came while a sentence was decoded'] += num_meanwhile
        check_same(log_of(outcomes), expected, f'seed {seed}: {given.config}')
        assert stream.num_evictions == plain.evictions.total(), f'seed {seed}'
        found.update(entry[3] for entry in expected if entry[0] == 'frame')
        found.update(f'left {what}' for what in plain.evictions.elements())
        found['streams that evicted'] += stream.num_evictions > 0
    print(dict(found))
    # The streams are worth something only if everything happens often.
    often = ('silent', 'respond', 'frames that came while a sentence was decoded')
    assert min(found[what] for what in often) > len(seeds), found
    if kept == 'a window':
        assert found['streams that evicted'] > 0.8 * len(seeds), found


def test_a_batch_gives_each_stream_what_it_gives_alone(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    language, num_segments = tiny.vlo.language, []
    forward = language.forward

    def counted(segments: list[Segment]) -> list[torch.Tensor]:
        num_segments.append(len(segments))
        return forward(segments)

    monkeypatch.setattr(language, 'forward', counted)
    for start in _seeds('few')[:5]:
        given = {
            f'camera{number}': random_stream(start * 8 + number, tiny, evicting=number % 2 == 0)
            for number in range(4)
        }
        expected, alone = {}, {}
        for name, one in given.items():
            num_segments.clear()
            expected[name] = log_of(play(tiny, one))
            alone[name] = len(num_segments)
        num_segments.clear()
        batch = StreamBatch({name: put(tiny, one) for name, one in given.items()})
        found: dict[str, list] = {name: [] for name in given}
        for name, outcome in batch.advance(flush=True):
            found[name].append(outcome)
        for name, outcomes in found.items():
            check_same(log_of(outcomes), expected[name], f'seed {start}: {name}')
        # No forward but for the stream that needs most, and the others' are joined to those.
        assert (len(num_segments), sum(num_segments)) == (max(alone.values()), sum(alone.values()))


def _seeds(count: str) -> range:
    """Seeds of streams: a quarter of all, for one kind and variant.

    With the seed of the stream that failed as VLO_TEST_SEED it is the first again.
    """
    start = seed_of_chance()
    return range(start, start + NUM_STREAMS[count] // 4)
