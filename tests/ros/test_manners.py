# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Manners on a robot: ask action, overlay, diagnostics, QoS, simulated time, live settings."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from vlo_ros.action import Ask

from tests.ros.graph import S
from vlo_ros import msg
from vlo_ros.ros.convert import image_message_of, to_ns, to_rgb, to_time


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
    graph.active_vlo(stale_after=0.3)
    graph.show(scenes[:1])
    handle, feedback = ask('What am I doing?')
    assert handle.accepted
    result = result_of(graph, handle)
    response = result.result.response
    assert result.status == 4  # succeeded
    assert response.text and response.query_id.startswith('ask-')
    graph.wait_for(lambda: response.text in feedback)
    assert any(heard.query_id == response.query_id for heard in graph.heard('response'))


def test_a_goal_that_is_refused_says_why(graph, ask):
    graph.active_vlo()
    handle, _ = ask('x' * 3000)
    result = result_of(graph, handle)
    assert result.status == 6  # aborted
    assert 'the query has 3000 characters' in result.result.response.reason


def test_canceling_a_goal_stops_its_sentence(graph, scenes, ask):
    node = graph.active_vlo(stale_after=0.3, max_new_tokens=4000)
    graph.show(scenes[:1])
    node.cameras[0].stream.decoder.template.eos_id = -1  # it never finds an end by itself
    handle, feedback = ask('What am I doing?')
    graph.wait_for(lambda: feedback)
    handle.cancel_goal_async()
    result = result_of(graph, handle)
    assert result.status == 5  # canceled
    assert result.result.response.state == msg.Response.STATE_CANCELLED
    assert 0 < result.result.response.num_tokens < 4000


def test_a_goal_whose_time_is_over_takes_its_query_back(graph, scenes, ask):
    node = graph.active_vlo(stale_after=30.0)
    graph.show(scenes[:1])
    handle, _ = ask('What am I doing?', timeout_s=0.3)  # no frame comes to answer it at
    result = result_of(graph, handle)
    assert result.status == 6
    assert 'time was over' in result.result.response.reason
    assert node.cameras[0].stream.backlog_queries == 0


def test_overlay_is_drawn_while_somebody_watches(graph, scenes):
    node = graph.active_vlo()
    graph.show(scenes[:2])
    overlay = node.cameras[0].topics.overlay
    assert not overlay._frames
    pictures = graph.listen('vlo/overlay', Image)
    graph.wait_for(overlay.has_watchers)
    stamps = graph.show(scenes[12:16], 200 * S)
    graph.wait_for(lambda: len(pictures) == 4)
    assert [to_ns(picture.header.stamp) for picture in pictures] == stamps
    assert to_rgb(pictures[0]).shape[1] >= 480


def test_diagnostics_tell_good_days_from_bad(graph, scenes):
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    node = graph.vlo(warn_latency=3000.0, error_latency=3000.0, stale_after=1.5)
    name = f'{graph.namespace}/vlo: '

    def latest():
        heard = [status for array in arrays for status in array.status]
        return next((status for status in reversed(heard) if status.name.startswith(name)), None)

    status = graph.wait_for(latest)
    assert (status.level, status.message) == (DiagnosticStatus.OK, 'unconfigured')
    graph.hear()
    node.trigger_configure()
    node.trigger_activate()
    graph.show(scenes[:2], start_ns=node.get_clock().now().nanoseconds - S)
    graph.wait_for(lambda: latest().message == 'watching')
    status = latest()
    assert status.level == DiagnosticStatus.OK
    values = {pair.key: pair.value for pair in status.values}
    assert values['frames_judged'] == '2'
    assert float(values['decision_latency_p95']) >= 0
    assert {'cache_tokens', 'backlog_frames', 'device', 'model'} <= set(values)
    graph.wait_for(lambda: latest().level == DiagnosticStatus.ERROR)
    assert 'no images' in latest().message


def test_a_failed_configure_shows_in_diagnostics(graph):
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    node = graph.vlo(model='/nowhere.yaml')
    node.trigger_configure()
    name = f'{graph.namespace}/vlo: node'
    graph.wait_for(
        lambda: any(
            status.level == DiagnosticStatus.ERROR and '/nowhere.yaml' in status.message
            for array in arrays
            for status in array.status
            if status.name == name
        )
    )


def test_a_publisher_with_other_qos_is_named_once(graph, scenes, capfd):
    topic = f'qos_overrides.{graph.namespace}/image.subscription.reliability'
    node = graph.active_vlo(**{topic: 'reliable'})
    capfd.readouterr()
    graph.watcher.create_publisher(
        Image,
        'image',
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
    )
    graph.wait_for(lambda: node.cameras[0].notices.last)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if 'reliability' in line]
    assert 'no images from watcher' in line
    assert f'set {topic}' in line


def test_simulated_time_stamps_questions_and_latencies(graph, scenes):
    node = graph.active_vlo(use_sim_time=True)
    clock = graph.publisher('/clock', Clock)
    for index in range(4):
        clock.publish(Clock(clock=to_time(500 * S + index * S)))
        graph.wait_for(
            lambda index=index: node.get_clock().now().nanoseconds == 500 * S + index * S
        )
        before = len(graph.heard('decision'))
        graph.send(scenes[index], 500 * S + index * S - S // 10)
        graph.wait_for(lambda before=before: len(graph.heard('decision')) > before)
    for decision in graph.heard('decision'):
        assert (decision.latency.sec, decision.latency.nanosec) == (0, S // 10)
    graph.ask('What am I doing?', 'mine')
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    graph.send(scenes[4], 504 * S)
    response = graph.wait_for(
        lambda: next((r for r in graph.heard('response') if r.query_id == 'mine'), None)
    )
    assert to_ns(response.finished_stamp) == 503 * S
    assert to_ns(response.header.stamp) == 503 * S - S // 10


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


def test_live_changes_reach_the_stream(graph, scenes):
    from rclpy.parameter import Parameter

    node = graph.active_vlo(silence_threshold=0.0)
    graph.show(scenes[:3])
    node.set_parameters([Parameter('silence_threshold', value=1.01)])
    graph.show(scenes[3:6], 200 * S)
    verdicts = [decision.verdict for decision in graph.heard('decision')]
    assert verdicts[3:] == [msg.Decision.VERDICT_RESPOND] * 3
    assert graph.heard('decision')[-1].silence_threshold == pytest.approx(1.01)
    node.set_parameters([Parameter('instruction', value='Please narrate.')])
    node.set_parameters([Parameter('frame_fps', value=10.0)])
    graph.show(scenes[6:9], 300 * S, fps=10.0)
    assert len(graph.heard('decision')) == 9
    assert node.cameras[0].reset()
    assert node.cameras[0].stream.decoder.config.instruction == 'Please narrate.'
