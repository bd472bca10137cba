# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay: order, times, queries, loops, damage, determinism."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.golden_scenarios import (
    VARIANTS,
    frame_bank,
    load_tiny,
    scenario,
    scenario_names,
    write_recording,
)
from vlo_ros.config import StreamConfig
from vlo_ros.errors import SourceError
from vlo_ros.events import NS_PER_S, Frame, Query
from vlo_ros.replay import FRAMES_PER_BATCH, first_seconds, read_queries, replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

START_NS = 1_700_000_000 * NS_PER_S
NARRATE = Query(0, 'Please narrate the video in real time.')


def frames_of(name: str = 'narrate_t0', number: int = 40, fps: float = 2.0) -> list[Frame]:
    rows = scenario('live1plus', name)['frame_index'][:number]
    return [
        Frame(
            START_NS + round(i / fps * NS_PER_S),
            i,
            frame_bank('live1plus')[row].transpose(1, 2, 0),
        )
        for i, row in enumerate(rows)
    ]


def run(
    frames: Iterable[Frame], queries: list[Query] | None = None, **settings: Any
) -> list[dict[str, Any]]:
    config = StreamConfig(**settings)
    return list(replay(frames, queries or [], load_tiny('live1plus'), config))


def assert_alike(events: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal, but for the last bits of probabilities that were computed in other batches."""
    for event, other in zip(events, expected, strict=True):
        if event['kind'] == 'frame':
            assert event['p_silence'] == pytest.approx(other['p_silence'], abs=1e-5)
            event = event | {'p_silence': other['p_silence']}
        assert event == other


def responses(events: list[dict[str, Any]], trigger: str = 'query') -> list[dict[str, Any]]:
    return [e for e in events if e['kind'] == 'response' and e['trigger'] == trigger]


@pytest.mark.parametrize(('variant', 'name'), scenario_names())
def test_recorded_scenarios_come_out_as_recorded(variant: str, name: str, tmp_path: Path) -> None:
    one = scenario(variant, name)
    recording, queries = write_recording(variant, name, tmp_path)
    config = StreamConfig(
        frame_fps=one['fps'],
        silence_threshold=one['threshold'],
        max_new_tokens=one['max_new_tokens'],
        protocol='official',
    )
    frames = open_source(str(recording)).frames(Sampler(one['fps']))
    events = list(replay(frames, read_queries(queries), load_tiny(variant), config))
    for event, expected in zip(events, one['events'], strict=True):
        assert event['kind'] == expected['type']
        assert event['time'] == pytest.approx(expected['time'], abs=1e-6)
        if event['kind'] == 'frame':
            assert (event['index'], event['decision']) == (expected['index'], expected['decision'])
            assert event['p_silence'] == pytest.approx(expected['p_interval'], abs=1e-4)
        else:
            assert event['token_ids'] == expected['output_ids']
            assert event['text'] == expected['text']
            assert event['trigger'] == expected['trigger']
            assert event['query'] == expected['query']
            was_cut = len(event['token_ids']) == one['max_new_tokens']
            assert event['finish'] == ('length' if was_cut else 'eos')


def test_lines_have_the_published_fields() -> None:
    events = run(frames_of(), [NARRATE])
    frame = next(event for event in events if event['kind'] == 'frame')
    assert list(frame) == ['kind', 'index', 'time', 'p_silence', 'decision']
    response = next(event for event in events if event['kind'] == 'response')
    assert list(response) == ['kind', 'trigger', 'time', 'query', 'text', 'token_ids', 'finish']
    json.dumps(events, allow_nan=False)
    assert [e['index'] for e in events if e['kind'] == 'frame'] == list(range(40))
    assert [e['time'] for e in events if e['kind'] == 'frame'] == [i / 2 for i in range(40)]


@pytest.mark.parametrize('chunk', ['1', '3', '32', 'auto'])
def test_the_chunk_changes_nothing(chunk: str) -> None:
    plain = run(frames_of(), [NARRATE], chunk='1')
    chunked = run(frames_of(), [NARRATE], chunk=chunk)
    assert_alike(plain, chunked)


def test_two_runs_are_equal_to_the_last_bit() -> None:
    assert run(frames_of(), [NARRATE]) == run(frames_of(), [NARRATE])


@pytest.mark.parametrize(
    'number', [1, FRAMES_PER_BATCH - 1, FRAMES_PER_BATCH, FRAMES_PER_BATCH + 1]
)
def test_no_frame_is_lost_at_the_edge_of_a_batch(number: int) -> None:
    events = run(frames_of(number=number), backlog_frames=1)
    assert [e['index'] for e in events if e['kind'] == 'frame'] == list(range(number))


def test_queries_are_answered_in_the_order_of_their_times() -> None:
    queries = [Query(round(time * NS_PER_S), f'What is this? {time}') for time in (9.2, 3.0, 0.0)]
    answered = responses(run(frames_of(), queries))
    assert [(e['time'], e['query']) for e in answered] == [
        (time, f'What is this? {time}') for time in (0.0, 3.0, 9.2)
    ]


def test_the_official_protocol_keeps_to_the_order_of_the_file(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queries = [Query(30 * NS_PER_S, 'Late?'), Query(0, 'Early?')]
    with caplog.at_level(logging.WARNING):
        events = run(frames_of(), queries, protocol='official')
    assert not responses(events)
    assert '2 queries come after the last frame' in caplog.text


def test_a_query_behind_the_last_frame_is_answered_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        events = run(frames_of(), [Query(100 * NS_PER_S, 'Still there?')])
    assert (events[-1]['query'], events[-1]['time']) == ('Still there?', 100.0)
    assert not caplog.text


@pytest.mark.parametrize('text', ['', ' \n', 'x' * 3000])
def test_a_query_that_cannot_be_asked_is_named(text: str) -> None:
    with pytest.raises(SourceError, match=r'q\.jsonl line 3: the query'):
        run(frames_of(number=3), [Query(0, text, 'q.jsonl line 3')])


def test_when_time_goes_back_the_stream_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    frames = frames_of(number=20)
    with caplog.at_level(logging.WARNING):
        events = run([*frames, *frames], [Query(100 * NS_PER_S, 'At the end?'), NARRATE])
    assert 'the stream starts anew' in caplog.text
    again = next(i for i, e in enumerate(events) if i and e.get('index') == 0)
    # The second time nobody asks for narration; the question of the end is not lost.
    assert [e['query'] for e in responses(events)] == [NARRATE.text, 'At the end?']
    alone = run(frames)
    assert_alike(events[again : again + len(alone)], alone)


def test_what_was_read_before_the_damage_is_judged_first() -> None:
    def broken() -> Iterator[Frame]:
        yield from frames_of(number=FRAMES_PER_BATCH + 5)
        raise SourceError('the tape is torn')

    events = []
    with pytest.raises(SourceError, match='the tape is torn'):
        for event in replay(broken(), [], load_tiny('live1plus'), StreamConfig()):
            events.append(event)
    assert events == run(frames_of(number=FRAMES_PER_BATCH + 5))


def test_reads_no_more_than_a_batch_ahead() -> None:
    num_read = 0

    def endless() -> Iterator[Frame]:
        nonlocal num_read
        (frame,) = frames_of(number=1)
        while True:
            stamp_ns = START_NS + num_read * NS_PER_S // 2
            yield dataclasses.replace(frame, stamp_ns=stamp_ns, index=num_read)
            num_read += 1

    events = replay(endless(), [], load_tiny('live1plus'), StreamConfig())
    for _ in range(100):
        next(events)
    events.close()
    assert num_read <= 100 + 2 * FRAMES_PER_BATCH


def test_the_caller_computes_with_the_threads_of_the_model() -> None:
    model = load_tiny('live1plus')
    two = dataclasses.replace(model, config=dataclasses.replace(model.config, threads=2))
    before = torch.get_num_threads()
    try:
        for given, expected in ((model, before), (two, 2), (model, 2)):
            next(replay(frames_of(number=1), [], given, StreamConfig()))
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_nothing_to_judge() -> None:
    with pytest.raises(SourceError, match='no frames'):
        run([])


def test_stops_after_so_many_seconds() -> None:
    assert [frame.index for frame in first_seconds(frames_of(), 2.0)] == [0, 1, 2, 3, 4]
    assert [frame.index for frame in first_seconds(frames_of(), 0.0)] == [0]


def test_reads_queries(tmp_path: Path) -> None:
    path = tmp_path / 'q.jsonl'
    path.write_text(
        '{"time": 1.5, "text": "Where?"}\n\n{"text": "Caf\u00e9?", "time": 0}\n', 'utf-8'
    )
    queries = read_queries(path)
    assert [(query.stamp_ns, query.text) for query in queries] == [
        (1_500_000_000, 'Where?'),
        (0, 'Caf\u00e9?'),
    ]


@pytest.mark.parametrize(
    'line',
    [
        'What?',
        '[1, "What?"]',
        '{"text": "What?"}',
        '{"time": 1}',
        '{"time": "1", "text": "What?"}',
        '{"time": NaN, "text": "What?"}',
        '{"time": true, "text": "What?"}',
        '{"time": 1, "text": ""}',
        '{"time": 1, "text": 5}',
        '{"time": 1, "text": "What?", "txet": 1}',
    ],
)
def test_a_bad_query_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / 'q.jsonl'
    path.write_text('{"time": 1, "text": "Fine?"}\n' + line + '\n')
    with pytest.raises(SourceError, match=r'q\.jsonl line 2: ') as caught:
        read_queries(path)
    assert '\n' not in str(caught.value)


def test_missing_and_binary_query_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='No such file'):
        read_queries(tmp_path / 'none.jsonl')
    (tmp_path / 'b.jsonl').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(SourceError, match=r'b\.jsonl'):
        read_queries(tmp_path / 'b.jsonl')


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_long_recording_outlives_the_window(variant: str) -> None:
    frame = frame_bank(variant)[0].transpose(1, 2, 0)
    frames = [Frame(i * NS_PER_S // 2, i, frame) for i in range(200)]
    config = StreamConfig(window_tokens=512, max_new_tokens=16)
    events = list(replay(frames, [], load_tiny(variant), config))
    assert sum(event['kind'] == 'frame' for event in events) == 200
