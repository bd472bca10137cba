# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""~/ask: feedback that grows, a result in every case, and a sentence that can be stopped."""

from itertools import pairwise

import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from vlo_ros.action import Ask

from tests.ros.endless import endless
from tests.ros.graph import S
from vlo_ros import msg


@pytest.fixture
def ask(graph):
    """Send a goal to ~/ask; return its handle and the feedback heard."""

    def send(text, timeout_s=0.0):
        client = ActionClient(graph.watcher, Ask, 'vlo/ask')
        graph.wait_for(client.server_is_ready)
        goal = Ask.Goal(text=text)
        goal.timeout.sec, goal.timeout.nanosec = divmod(round(timeout_s * S), S)
        feedback = []
        sent = client.send_goal_async(
            goal, lambda message: feedback.append(message.feedback.partial_text)
        )
        graph.wait_for(sent.done)
        return sent.result(), feedback

    return send


def result_of(graph, handle):
    future = handle.get_result_async()
    graph.wait_for(future.done)
    return future.result()


def test_a_goal_gets_its_answer_growing_and_whole(graph, scenes, ask):
    node = graph.active_vlo(stale_after=0.3, max_new_tokens=8)
    graph.show(scenes[:1])
    with endless(node):
        handle, feedback = ask('What am I doing?')
        assert handle.accepted
        result = result_of(graph, handle)
    response = result.result.response
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert response.query_id.startswith('ask-')
    assert (response.state, response.num_tokens) == (msg.Response.STATE_TRUNCATED, 8)
    graph.wait_for(lambda: response.text in feedback)
    for before, after in pairwise(feedback):
        assert after.startswith(before)
    assert len(set(feedback) - {'', response.text}) > 1
    assert feedback[-1] == response.text
    graph.wait_for(
        lambda: any(heard.query_id == response.query_id for heard in graph.heard('response'))
    )


def test_a_goal_that_is_refused_says_why(graph, ask):
    graph.active_vlo()
    handle, _ = ask('x' * 3000)
    result = result_of(graph, handle)
    assert result.status == GoalStatus.STATUS_ABORTED
    assert 'the query has 3000 characters' in result.result.response.reason


def test_canceling_a_goal_stops_its_sentence(graph, scenes, ask):
    node = graph.active_vlo(stale_after=0.3, max_new_tokens=4000)
    graph.show(scenes[:1])
    with endless(node):
        handle, feedback = ask('What am I doing?')
        graph.wait_for(lambda: feedback)
        handle.cancel_goal_async()
        result = result_of(graph, handle)
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.response.state == msg.Response.STATE_CANCELLED
    assert result.result.response.reason == 'the goal was canceled or its time was over'
    assert 0 < result.result.response.num_tokens < 4000


def test_a_goal_whose_time_is_over_takes_its_query_back(graph, scenes, ask):
    node = graph.active_vlo(stale_after=30.0)
    graph.show(scenes[:1])
    handle, _ = ask('What am I doing?', timeout_s=0.3)  # no frame comes to answer it at
    result = result_of(graph, handle)
    assert result.status == GoalStatus.STATUS_ABORTED
    assert 'time was over' in result.result.response.reason
    assert result.result.response.num_tokens == 0
    assert node.cameras[0].stream.backlog_queries == 0


def test_a_goal_whose_time_is_over_stops_its_sentence(graph, scenes, ask):
    node = graph.active_vlo(stale_after=30.0, max_new_tokens=4000, silence_threshold=0.0)
    camera = node.cameras[0]
    graph.show(scenes[:1])
    with endless(node):
        handle, feedback = ask('What am I doing?', timeout_s=0.5)
        graph.wait_for(lambda: camera.queries.has_waiting)
        graph.send(scenes[1], 101 * S)  # it is answered at once
        result = result_of(graph, handle)
    response = result.result.response
    assert result.status == GoalStatus.STATUS_ABORTED
    assert response.state == msg.Response.STATE_CANCELLED
    assert 'time was over' in response.reason
    assert 0 < response.num_tokens < 4000
    assert response.text
    graph.wait_for(lambda: feedback)
    assert response.text.startswith(feedback[0])
    graph.send(scenes[2], 102 * S)
    graph.wait_for(lambda: len(graph.heard('decision')) == 3)
