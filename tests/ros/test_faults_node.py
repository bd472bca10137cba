# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad days of the node itself: no memory, a crowd that asks, a listener that stops; real DDS."""

import os
import signal
import time

import pytest
from sensor_msgs.msg import Image

from tests.ros.graph import S
from tests.ros.live_vlo import Talking
from tests.ros.processes import START_S
from vlo_ros import msg

pytestmark = pytest.mark.timeout(900)  # as long as its own waits
BACKLOG_QUERIES = 64


PARAMETERS = {
    'backlog_queries': BACKLOG_QUERIES,
    'inbox_images': 64,  # more than a test sends at once
    'max_new_tokens': 4,
    'stale_after': 300.0,  # queries wait for their frames
}


@pytest.fixture
def graph(live):
    return live.graph


def show(graph, scripted_camera, start_ns, number, **fields):
    """Publish images at 2 Hz of stamps; return once the last one is judged."""
    stamps = [start_ns + n * S // 2 for n in range(number)]
    scripted_camera.send([{'stamp_ns': stamp_ns, **fields} for stamp_ns in stamps])
    wait_for_decision(graph, stamps[-1])


def wait_for_decision(graph, stamp_ns):
    graph.wait_for(
        lambda: any(
            d.header.stamp.sec * S + d.header.stamp.nanosec == stamp_ns
            for d in graph.heard('decision')
        )
    )


def test_no_memory_once_is_one_line_and_the_next_frame_is_judged(
    graph, live, scripted_camera, measured
):
    show(graph, scripted_camera, live.start_ns, 4)
    graph.ask('And then?', 'waiting', live.start_ns + 100 * S)
    live.status(lambda status: status.backlog_queries == 1)
    num_lines = len(live.complaints())
    live.plant('no_memory')
    failed_at = time.monotonic()
    scripted_camera.send([{'stamp_ns': live.start_ns + 10 * S}])
    graph.wait_for(lambda: not (live.faults / 'no_memory').exists())
    scripted_camera.send([{'stamp_ns': live.start_ns + 11 * S}])
    wait_for_decision(graph, live.start_ns + 11 * S)
    measured('next decision after s', round(time.monotonic() - failed_at, 2))
    # The query that waited is answered or refused, whichever: once a frame behind it is there.
    scripted_camera.send([{'stamp_ns': live.start_ns + 101 * S}])
    (told,) = live.told(['waiting'])
    measured('the waiting query', told.reason or told.text)
    assert told.reason or told.text
    lines = live.complaints()[num_lines:]
    assert sum('out of memory on cpu' in line for line in lines) == 1
    assert 'Traceback' not in live.log.read_text()
    assert 'out of memory' in live.status().last_error


def test_of_a_hundred_queries_each_is_answered_or_refused_once(
    graph, live, scripted_camera, measured
):
    show(graph, scripted_camera, live.start_ns, 2)
    ids = [f'one of many {number}' for number in range(100)]
    asked_at = time.monotonic()
    for query_id in ids:
        graph.ask('What am I doing?', query_id, live.start_ns + 10 * S)
    status = live.status(lambda status: status.backlog_queries == BACKLOG_QUERIES)
    assert status.backlog_queries == BACKLOG_QUERIES
    scripted_camera.send([{'stamp_ns': live.start_ns + 11 * S}])
    live.told(ids)
    measured('all told after s', round(time.monotonic() - asked_at, 1))
    told = live.told_in_the_end(ids)
    assert sorted(response.query_id for response in told) == sorted(ids)
    refused = [response for response in told if response.reason]
    measured('answered', len(told) - len(refused))
    measured('refused', len(refused))
    assert len(refused) == 100 - BACKLOG_QUERIES
    assert all(r.state == msg.Response.STATE_CANCELLED for r in refused)
    assert {r.reason for r in refused} == {f'{BACKLOG_QUERIES} queries are waiting already'}


def test_a_subscriber_that_stops_reading_holds_nobody_up(graph, live, scripted_camera, measured):
    """The pictures of ~/overlay fill every buffer between the two; the others hear everything."""
    watching = graph.watcher.create_subscription(Image, 'vlo/overlay', lambda picture: None, 10)
    listener = Talking('tests.ros.listening_node', graph.namespace)
    try:
        large = {'size': [640, 480]}
        show(graph, scripted_camera, live.start_ns, 2, **large)
        number = 2

        def heard_by_listener():
            nonlocal number
            show(graph, scripted_camera, live.start_ns + number * S, 1, **large)
            number += 1
            return listener.lines

        graph.wait_for(heard_by_listener, START_S)
        live.set(silence_threshold=1.01)  # a sentence after every frame

        def seconds_for_forty():
            nonlocal number
            begun = time.monotonic()
            scripted_camera.send(
                [{'stamp_ns': live.start_ns + (number + n) * S, **large} for n in range(40)]
            )
            number += 40
            wait_for_decision(graph, live.start_ns + (number - 1) * S)
            return time.monotonic() - begun

        running_s = seconds_for_forty()
        os.kill(listener.child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, listener.child.pid, os.WSTOPPED)
        newest_before = graph.heard('decision')[-1].frame_index
        stopped_s = seconds_for_forty() + seconds_for_forty()
        measured('40 frames, s', round(running_s, 1))
        measured('40 frames beside a stopped listener, s', round(stopped_s / 2, 1))
        decisions = graph.heard('decision')
        assert [d.frame_index for d in decisions] == list(range(len(decisions)))
        assert max(map(int, listener.lines)) <= newest_before  # it did stop
        os.kill(listener.child.pid, signal.SIGCONT)
        newest = str(decisions[-1].frame_index)
        graph.wait_for(lambda: newest in listener.lines)
        read = [int(line) for line in listener.lines]
        measured('decisions read afterwards', sum(index > newest_before for index in read))
        assert read == sorted(read)
        graph.wait_for(lambda: len(graph.heard('response')) >= 120)
    finally:
        graph.watcher.destroy_subscription(watching)
        live.set(silence_threshold=0.725)
        listener.end()
