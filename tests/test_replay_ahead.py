# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay that encodes ahead: the same events in the same order, a bound, and no thread left."""

from __future__ import annotations

import _thread
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.chance import source_of_chance
from tests.golden_scenarios import GOLDEN, frame_bank, load_tiny
from vlo_ros import replay as replay_module
from vlo_ros import replay_command
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig, load_config
from vlo_ros.errors import SourceError
from vlo_ros.events import NS_PER_S, Frame, Outcome, Query
from vlo_ros.replay import FRAMES_PER_BATCH, ReplayEvent, replay
from vlo_ros.stream import Stream

SECONDS = 60.0  # what a thread is given to come to a point; only a failure takes as long
MODEL = 'live1plus'


@pytest.fixture(params=['in turn', 'ahead'])
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Encode on the caller's thread, or on one of its own."""
    encode(request.param, monkeypatch)
    return request.param


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert not replay_threads()


def encode(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, '_encodes_ahead', lambda model: order == 'ahead')


def replay_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith('replay-')]


def recording(bank_rows: list[int]) -> Iterator[Frame]:
    """Those frames of the bank at 2 FPS."""
    for index, row in enumerate(bank_rows):
        image_HWC = frame_bank(MODEL)[row].transpose(1, 2, 0)
        yield Frame(index * NS_PER_S // 2, index, image_HWC)


def endless(read: list[int]) -> Iterator[Frame]:
    """A recording that notes which frames were read."""
    (frame,) = recording([0])
    while True:
        index = len(read)
        read.append(index)
        yield dataclasses.replace(frame, stamp_ns=index * NS_PER_S // 2, index=index)


def broken(num_frames: int, error: Exception) -> Iterator[Frame]:
    yield from recording([0] * num_frames)
    raise error


def run(frames: Iterator[Frame], queries: list[Query] | None = None) -> list[ReplayEvent]:
    config = StreamConfig(window_tokens=512, max_new_tokens=16, silence_threshold=0.5)
    return list(replay(frames, queries or [], load_tiny(MODEL), config))


def indices(events: list[ReplayEvent]) -> list[int]:
    return [event['index'] for event in events if event['kind'] == 'frame']


def test_both_orders_give_the_same_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = source_of_chance()
    for _ in range(4):
        rows = [chance.randrange(len(frame_bank(MODEL))) for _ in range(chance.randrange(1, 150))]
        queries = [
            Query(chance.randrange(80) * NS_PER_S, f'What is this? {number}')
            for number in range(chance.randrange(4))
        ]
        found = []
        for order in ('in turn', 'ahead'):
            encode(order, monkeypatch)
            found.append(run(recording(rows), queries))
        assert found[0] == found[1]


def test_the_batches_have_the_same_sizes(
    order: str, monkeypatch: pytest.MonkeyPatch, encoded_sizes: list[int]
) -> None:
    run(recording([0] * (2 * FRAMES_PER_BATCH + 5)))
    assert encoded_sizes == [FRAMES_PER_BATCH, FRAMES_PER_BATCH, 5]


@pytest.fixture
def encoded_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that were encoded so far."""
    sizes: list[int] = []
    encode_pixels = VloModel.encode_pixels

    def noting(model: VloModel, pixels_NCSS: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels_NCSS))
        return encode_pixels(model, pixels_NCSS)

    monkeypatch.setattr(VloModel, 'encode_pixels', noting)
    return sizes


@pytest.mark.parametrize(
    'num_frames', [1, FRAMES_PER_BATCH - 1, FRAMES_PER_BATCH, 2 * FRAMES_PER_BATCH + 5]
)
@pytest.mark.parametrize('error', [SourceError('the tape is torn'), OSError('the disk is gone')])
def test_an_error_of_the_source_comes_behind_the_frames_before_it(
    order: str, num_frames: int, error: Exception
) -> None:
    events: list[ReplayEvent] = []
    with pytest.raises(type(error), match=str(error)):
        for event in replay(
            broken(num_frames, error), [], load_tiny(MODEL), StreamConfig(max_new_tokens=4)
        ):
            events.append(event)
    assert indices(events) == list(range(num_frames))


def test_a_source_that_fails_at_once_says_why(order: str) -> None:
    with pytest.raises(SourceError, match='the tape is torn'):
        run(broken(0, SourceError('the tape is torn')))


def test_an_error_of_the_encoder_comes_behind_the_batches_before_it(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_pixels, calls = VloModel.encode_pixels, []

    def fails_the_third_time(model: VloModel, pixels_NCSS: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels_NCSS))
        if len(calls) == 3:
            raise torch.OutOfMemoryError('no room')
        return encode_pixels(model, pixels_NCSS)

    monkeypatch.setattr(VloModel, 'encode_pixels', fails_the_third_time)
    read: list[int] = []
    events: list[ReplayEvent] = []
    with pytest.raises(torch.OutOfMemoryError):
        for event in replay(endless(read), [], load_tiny(MODEL), StreamConfig(max_new_tokens=4)):
            events.append(event)
    assert indices(events) == list(range(2 * FRAMES_PER_BATCH))
    assert len(calls) == 3


def test_closed_early_it_leaves_no_thread_and_has_looked_so_far_ahead(
    order: str, encoded_sizes: list[int]
) -> None:
    read: list[int] = []
    events = replay(endless(read), [], load_tiny(MODEL), StreamConfig(max_new_tokens=4))
    for _ in range(3):
        next(events)
    assert replay_threads()
    events.close()
    assert not replay_threads()
    # The batch in hand, one being encoded, one being read.
    assert len(encoded_sizes) == (2 if order == 'ahead' else 1)
    assert len(read) == (len(encoded_sizes) + 1) * FRAMES_PER_BATCH


def test_closed_before_it_began_it_has_read_nothing(order: str) -> None:
    read: list[int] = []
    replay(endless(read), [], load_tiny(MODEL), StreamConfig()).close()
    assert not read


def test_the_next_batch_is_encoded_while_this_one_is_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode('ahead', monkeypatch)
    encode_pixels, threads, second = VloModel.encode_pixels, [], threading.Event()

    def noting(model: VloModel, pixels_NCSS: torch.Tensor) -> torch.Tensor:
        tokens_NFD = encode_pixels(model, pixels_NCSS)
        threads.append(threading.current_thread())
        if len(threads) == 2:
            second.set()
        return tokens_NFD

    monkeypatch.setattr(VloModel, 'encode_pixels', noting)
    events = replay(endless([]), [], load_tiny(MODEL), StreamConfig(max_new_tokens=4))
    assert next(events)['index'] == 0
    assert second.wait(SECONDS), 'nothing was encoded while the caller had its first event'
    events.close()
    assert threading.current_thread() not in threads


def test_an_interruption_ends_the_threads(order: str) -> None:
    """Ctrl-C reaches the main thread, wherever that is: judging, or waiting for a batch."""

    def interrupting() -> Iterator[Frame]:
        read: list[int] = []
        for frame in endless(read):
            if len(read) == 3 * FRAMES_PER_BATCH:
                _thread.interrupt_main()
            assert len(read) < 100 * FRAMES_PER_BATCH, 'the interruption was not heard'
            yield frame

    with pytest.raises(KeyboardInterrupt):
        run(interrupting())


def test_an_error_while_judging_ends_the_threads(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(stream: Stream, *, flush: bool = False) -> Iterator[Outcome]:
        assert replay_threads()
        raise torch.OutOfMemoryError('no room')

    monkeypatch.setattr(Stream, 'advance', fails)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        run(endless([]))
    # The traceback still holds the generator: it was closed, not only forgotten.
    assert caught.tb is not None
    assert not replay_threads()


def test_the_command_ends_the_threads_when_it_is_interrupted(
    order: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(report: Any, event: ReplayEvent) -> None:
        assert replay_threads()
        raise KeyboardInterrupt

    monkeypatch.setattr(replay_command._Report, 'take', interrupted)
    path = tmp_path / 'long.npz'
    np.savez(path, frames=frame_bank(MODEL)[[0] * (4 * FRAMES_PER_BATCH)])
    config = load_config(GOLDEN / MODEL / 'model.yaml', device='cpu')
    with pytest.raises(KeyboardInterrupt) as caught:
        replay_command.run_replay(str(path), config, None, None, None, tmp_path / 'out.jsonl')
    assert caught.tb is not None  # as above
    assert not replay_threads()


@pytest.mark.gpu
def test_on_a_gpu_both_orders_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from vlo_ros.checkpoint import load_model

    model = load_model(load_config('bundled', device='cuda').model)
    frames = list(recording([row % 8 for row in range(150)]))
    found = []
    for order in ('in turn', 'ahead'):
        encode(order, monkeypatch)
        found.append(list(replay(iter(frames), [], model, StreamConfig(window_tokens=1024))))
    assert found[0] == found[1]
