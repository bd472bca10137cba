# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What waits between encoder and decoder."""

import threading

import pytest
import torch

from vlo_ros.backlog import Backlog
from vlo_ros.events import FrameTokens, Query

TOKENS = torch.zeros(1, 1)


def frame(stamp_ns):
    return FrameTokens(stamp_ns, stamp_ns, TOKENS)


def taken(backlog, max_frames=8, **options):
    """Everything that is due, as stamps; queries by their text."""
    rounds = []
    while events := backlog.take(max_frames, **options):
        rounds.append([e.text if isinstance(e, Query) else e.stamp_ns for e in events])
    return rounds


def filled(stamps, queries=(), **options):
    backlog = Backlog(8, 4, **options)
    for stamp_ns, text in queries:
        assert backlog.put_query(Query(stamp_ns, text))
    for stamp_ns in stamps:
        backlog.put_frame(frame(stamp_ns))
    return backlog


def test_frames_come_in_order_and_in_chunks():
    assert taken(filled(range(7)), 3) == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_oldest_frame_is_dropped_and_counted():
    backlog = filled(range(20))
    assert (backlog.num_frames, backlog.num_dropped) == (8, 12)
    assert taken(backlog) == [list(range(12, 20))]


def test_a_query_more_than_may_wait_is_refused_and_none_is_dropped():
    backlog = Backlog(8, 4)
    assert [backlog.put_query(Query(n, str(n))) for n in range(6)] == [True] * 4 + [False] * 2
    for stamp_ns in range(50):
        backlog.put_frame(frame(stamp_ns))
    assert backlog.num_queries == 4
    assert taken(backlog)[:4] == [['0'], ['1'], ['2'], ['3']]


@pytest.mark.parametrize(
    ('queries', 'rounds'),
    [
        ([(5, 'a')], [['a'], [10, 20, 30]]),  # before the first frame
        ([(10, 'a')], [[10, 'a'], [20, 30]]),  # at a frame's stamp
        ([(15, 'a')], [[10], ['a'], [20, 30]]),  # between two
        ([(20, 'a'), (20, 'b')], [[10], [20, 'a'], ['b'], [30]]),  # two at one stamp
        ([(25, 'b'), (12, 'a')], [[10], ['a'], [20], ['b'], [30]]),  # sorted by stamp
        ([(30, 'a')], [[10, 20], [30, 'a']]),
        ([(31, 'a')], [[10, 20, 30]]),  # not due before a frame behind it
    ],
)
def test_queries_stand_between_frames_by_stamp(queries, rounds):
    assert taken(filled((10, 20, 30), queries)) == rounds


def test_a_query_waits_for_a_frame_unless_flushed():
    backlog = filled((), [(5, 'a'), (3, 'b')])
    assert taken(backlog) == []
    assert taken(backlog, flush=True) == [['b'], ['a']]
    assert backlog.num_queries == 0


def test_a_query_in_a_hurry_takes_those_before_it_along_and_no_other():
    backlog = filled((), [(5, 'a')])
    now = Query(7, 'now')
    assert backlog.put_query(now)
    assert backlog.put_query(Query(7, 'now'))  # one just like it
    assert backlog.hurry(now)
    assert taken(backlog) == [['a'], ['now']]
    assert not backlog.hurry(now)
    assert (taken(backlog), backlog.num_queries) == ([], 1)
    backlog.put_frame(frame(7))
    assert taken(backlog) == [[7, 'now']]


def test_by_arrival_a_query_in_a_hurry_is_not_held_up():
    backlog = Backlog(8, 4, by_arrival=True)
    queries = [Query(25, 'late'), Query(12, 'early'), Query(30, 'other')]
    assert all(backlog.put_query(query) for query in queries)
    assert backlog.hurry(queries[1])
    assert taken(backlog) == [['late'], ['early']]


def test_the_answer_does_not_depend_on_how_fast_frames_come():
    """Frame by frame or all at once: the same events in the same order."""
    queries = [(5, 'a'), (20, 'b'), (21, 'c'), (28, 'd')]
    slow = filled((), queries)
    events = []
    for stamp_ns in (10, 20, 30):
        slow.put_frame(frame(stamp_ns))
        events += taken(slow)
    at_once = taken(filled((10, 20, 30), queries))
    assert [e for part in events for e in part] == [e for part in at_once for e in part]


def test_by_arrival_a_late_query_holds_up_those_behind_it():
    queries = [(25, 'late'), (12, 'early')]
    assert taken(filled((10, 20, 30), queries, by_arrival=True)) == [
        [10, 20],
        ['late'],
        ['early'],
        [30],
    ]


def test_what_was_taken_but_not_judged_returns_to_the_front():
    backlog = filled(range(8))
    events = backlog.take(5)
    backlog.put_back(events[2:])
    assert taken(backlog) == [[2, 3, 4, 5, 6, 7]]
    events = filled(range(8)).take(8)
    backlog = filled(range(8, 14))
    backlog.put_back(events)
    assert (backlog.num_frames, backlog.num_dropped) == (8, 6)
    assert taken(backlog) == [list(range(6, 14))]


def test_clear_forgets_frames_and_queries():
    backlog = filled(range(20), [(3, 'a')])
    backlog.clear()
    assert (backlog.num_frames, backlog.num_queries) == (0, 0)
    assert taken(backlog, flush=True) == []


def test_many_threads_lose_and_double_nothing():
    """Two cameras' worth of producers against one consumer that gives back."""
    backlog = Backlog(64, 1000)
    num_frames, num_queries = 3000, 400
    done = threading.Event()
    seen_frames, seen_queries = [], []

    def produce_frames():
        for stamp_ns in range(num_frames):
            backlog.put_frame(frame(stamp_ns))

    def produce_queries(first):
        for number in range(first, num_queries, 2):
            assert backlog.put_query(Query(number * 7, str(number)))

    def consume():
        while True:
            finished = done.is_set()
            events = backlog.take(16, flush=finished)
            frames = [event for event in events if isinstance(event, FrameTokens)]
            queries = [event for event in events if isinstance(event, Query)]
            if len(frames) > 3 and not queries:
                backlog.put_back(frames[3:])
                frames = frames[:3]
            seen_frames.extend(event.stamp_ns for event in frames)
            seen_queries.extend(event.text for event in queries)
            assert backlog.num_frames <= 64
            if finished and not events:
                return

    producers = [threading.Thread(target=produce_frames)] + [
        threading.Thread(target=produce_queries, args=(first,)) for first in (0, 1)
    ]
    consumer = threading.Thread(target=consume)
    for thread in (consumer, *producers):
        thread.start()
    for thread in producers:
        thread.join()
    done.set()
    consumer.join(timeout=60)
    assert not consumer.is_alive()
    assert sorted(seen_queries, key=int) == [str(number) for number in range(num_queries)]
    assert seen_frames == sorted(set(seen_frames))
    assert len(seen_frames) + backlog.num_dropped == num_frames
