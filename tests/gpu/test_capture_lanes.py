# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is recorded where; CUDA is played here, so these run on any machine."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.chance import source_of_chance
from tests.random_streams import check_same, log_of, play, put, random_stream, tiny_model
from vlo_ros.cuda_graphs import NUM_CUDA_STREAMS, CaptureLane, StaticForward, StaticStep


class PlayedCuda:
    """CUDA streams with PyTorch's handles, and graphs that run the forward again.

    Attributes:
        recorded: Stream handle and pool of every recording.
        refuses: Whether recordings fail.
    """

    def __init__(self) -> None:
        self.recorded: list[tuple[int, int]] = []
        self.refuses = False
        self._handles = itertools.cycle(range(NUM_CUDA_STREAMS))
        self.pools = itertools.count()

    def stream(self, device: torch.device | None = None, priority: int = -1) -> Any:
        assert priority < 0, 'an encoder may have the same stream'
        return SimpleNamespace(cuda_stream=next(self._handles))

    @contextlib.contextmanager
    def graph(self, graph: Any, pool: int, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == 'thread_local'
        yield
        if self.refuses:
            raise RuntimeError('operation not permitted when stream is capturing')
        self.recorded.append((stream.cuda_stream, pool))


class PlayedGraph:
    """Replays by running the step it was recorded from."""

    def __init__(self) -> None:
        self.replay = lambda: pytest.fail('nothing was recorded')


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> PlayedCuda:
    played, capture = PlayedCuda(), StaticStep.capture

    def capture_and_link(step: StaticStep, lane: CaptureLane) -> None:
        capture(step, lane)
        step._graph.replay = step.forward  # type: ignore[union-attr]

    monkeypatch.setattr(StaticStep, 'capture', capture_and_link)
    monkeypatch.setattr(torch.cuda, 'Stream', played.stream)
    monkeypatch.setattr(torch.cuda, 'stream', lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', PlayedGraph)
    monkeypatch.setattr(torch.cuda, 'graph', played.graph)
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: next(played.pools))
    return played


def test_each_stream_records_where_no_other_does(cuda: PlayedCuda) -> None:
    free, captured = tiny_model('live1+'), tiny_model('live1+')
    captured.vlo.language.use_static_shapes(capture=True)
    seed = source_of_chance().randrange(1 << 30)
    given = [random_stream(seed + number, free, window_tokens=400) for number in range(3)]
    streams = [put(captured, one) for one in given]
    lanes = captured.vlo.language._static._lanes
    assert len({lane.stream.cuda_stream for lane in lanes.values()}) == len(given)
    assert len({lane.pool for lane in lanes.values()}) == len(given)
    for stream, one in zip(streams, given, strict=True):
        found = log_of(list(stream.advance(flush=True)))
        check_same(found, log_of(play(free, one)), f'seed {one.seed}')
    assert len(cuda.recorded) == captured.vlo.language._static.num_captured
    assert len(set(cuda.recorded)) == len(given), 'a pool or a stream was shared'
    streams.clear()
    del stream
    assert not lanes
    pools = {pool for _, pool in cuda.recorded}
    play(captured, given[0])
    assert cuda.recorded[-1][1] not in pools, 'a pool was used again'


def test_no_lane_takes_the_stream_of_another(cuda: PlayedCuda) -> None:
    device = torch.device('cpu')
    kept = CaptureLane(device)
    for _ in range(2 * NUM_CUDA_STREAMS):
        assert CaptureLane(device).stream.cuda_stream != kept.stream.cuda_stream


def test_what_cannot_be_recorded_runs_without(
    cuda: PlayedCuda, caplog: pytest.LogCaptureFixture
) -> None:
    free, captured = tiny_model('live1+'), tiny_model('live1+')
    captured.vlo.language.use_static_shapes(capture=True)
    cuda.refuses = True
    given = random_stream(5, free, window_tokens=400)
    check_same(log_of(play(captured, given)), log_of(play(free, given)), 'not recorded')
    assert [record.message[:10] for record in caplog.records] == ['CUDA graph']
    assert isinstance(captured.vlo.language._static, StaticForward)
