# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Manners on a robot: simulated time, laziness."""

import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from tests.ros.graph import S
from vlo_ros.message_header import to_ns
from vlo_ros.ros.convert import image_message_of, to_time


@pytest.fixture
def set_time(graph):
    """Set the simulated time of a node."""

    def set_time(node, now_ns):
        graph.publisher('/clock', Clock).publish(Clock(clock=to_time(now_ns)))
        graph.wait_for(lambda: node.get_clock().now().nanoseconds == now_ns)

    return set_time


def test_simulated_time_stamps_questions_and_latencies(graph, scenes, set_time):
    node = graph.active_vlo(use_sim_time=True)
    for index in range(4):
        set_time(node, 500 * S + index * S)
        before = len(graph.heard('decision'))
        graph.send(scenes[index], 500 * S + index * S - S // 10)
        graph.wait_for(lambda before=before: len(graph.heard('decision')) > before)
    for decision in graph.heard('decision'):
        assert (decision.latency.sec, decision.latency.nanosec) == (0, S // 10)
    heard = graph.heard('status')
    status = graph.wait_for(lambda: next((s for s in heard if s.frames_judged == 4), None))
    percentiles = [getattr(status, f'decision_latency_p{percent}') for percent in (50, 95, 99)]
    assert percentiles == pytest.approx([0.1] * 3)
    graph.ask('What am I doing?', 'mine')
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    graph.send(scenes[4], 504 * S)
    response = graph.wait_for(
        lambda: next((r for r in graph.heard('response') if r.query_id == 'mine'), None)
    )
    assert to_ns(response.finished_stamp) == 503 * S
    assert to_ns(response.header.stamp) == 503 * S - S // 10


def test_the_status_has_the_latencies_of_what_was_said_unasked(graph, scenes, set_time):
    node = graph.active_vlo(use_sim_time=True, silence_threshold=1.01)  # it speaks at each frame
    for index, latency_ns in enumerate((S // 10, S // 5, S // 2)):
        set_time(node, (500 + index) * S)
        graph.send(scenes[index], (500 + index) * S - latency_ns)
        graph.wait_for(lambda index=index: len(graph.heard('response')) == index + 1)
    node.set_parameters([Parameter('silence_threshold', value=0.0)])
    set_time(node, 560 * S)
    graph.ask('What am I doing?', 'mine', 502 * S)  # answered from a frame of a minute ago
    graph.send(scenes[3], 503 * S)
    heard = graph.heard('status')
    status = graph.wait_for(lambda: next((s for s in heard if s.responses == 4), None))
    assert graph.heard('response')[-1].query_id == 'mine'
    for stage in ('first_token', 'publish'):
        told = [getattr(status, f'{stage}_latency_p{percent}') for percent in (50, 95, 99)]
        assert told == pytest.approx([0.2, 0.47, 0.494]), stage


def test_lazy_judges_nothing_while_nobody_listens(graph, scenes):
    node = graph.vlo(lazy=True)
    node.trigger_configure()
    node.trigger_activate()
    for index in range(3):
        graph.deliver(node, image_message_of(scenes[0], (100 + index) * S, 'eye'))
    statistics = node.cameras[0].statistics
    assert (statistics.frames_skipped, statistics.frames_judged) == (3, 0)
    graph.hear()
    graph.wait_for(node.cameras[0].topics.has_listeners)
    graph.show(scenes[:2], 200 * S)
