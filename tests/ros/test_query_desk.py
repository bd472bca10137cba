# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every query is answered, or refused with a reason that its asker can read."""

from random import Random

import pytest
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from std_srvs.srv import Trigger
from vlo_ros.action import Ask

from tests.ros.graph import S
from vlo_ros import msg
from vlo_ros.ros import vlo_node
from vlo_ros.ros.camera_stream import CameraStream
from vlo_ros.ros.convert import image_message_of

SUCCESS = TransitionCallbackReturn.SUCCESS
CANCELLED = msg.Response.STATE_CANCELLED


def response_to(graph, query_id, camera=''):
    """Wait for what is said to a query."""
    heard = graph.heard('response', camera)
    return graph.wait_for(lambda: next((r for r in heard if r.query_id == query_id), None))


def speak_without_end(node):
    """Have every sentence go on until somebody stops it."""
    node.cameras[0].stream.decoder.template.eos_id = -1


def send_goal(graph, text):
    """Send a goal to ~/ask; return its handle and the future of its result."""
    client = ActionClient(graph.watcher, Ask, 'vlo/ask')
    graph.wait_for(client.server_is_ready)
    sent = client.send_goal_async(Ask.Goal(text=text))
    graph.wait_for(sent.done)
    return sent.result(), sent.result().get_result_async()


def test_a_query_that_was_taken_by_a_step_that_fails_is_refused(graph, scenes, monkeypatch):
    node = graph.active_vlo()
    graph.show(scenes[:2])
    forward, camera = node.model.language.forward, node.cameras[0]

    def fails_once_taken(segments):
        if camera.queries.has_waiting and not camera.stream.backlog_queries:
            raise ZeroDivisionError('planted')
        return forward(segments)

    monkeypatch.setattr(node.model.language, 'forward', fails_once_taken)
    graph.ask('What am I doing?', 'mine', 100 * S + S // 2 + 1)
    graph.wait_for(lambda: camera.queries.has_waiting)
    graph.send(scenes[2], 101 * S)
    response = response_to(graph, 'mine')
    assert (response.state, response.reason) == (CANCELLED, 'judging failed: planted')
    assert not camera.queries.has_waiting


def test_a_query_whose_response_cannot_be_published_is_refused(graph, scenes, monkeypatch):
    node = graph.active_vlo()
    graph.show(scenes[:2])
    topics = node.cameras[0].topics

    def fails(*arguments):
        raise RuntimeError('planted')

    monkeypatch.setattr(topics, 'response', fails)
    graph.ask('What am I doing?', 'mine', 100 * S + S // 2 + 1)
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    graph.send(scenes[2], 101 * S)
    assert response_to(graph, 'mine').reason == 'judging failed: planted'


def test_a_reset_refuses_what_waits(graph, scenes):
    node = graph.active_vlo()
    graph.show(scenes[:1])
    graph.ask('And then?', 'mine', 500 * S)
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    assert node.cameras[0].reset()
    response = response_to(graph, 'mine')
    assert (response.state, response.reason) == (CANCELLED, 'the stream was reset')


@pytest.mark.parametrize(
    ('how', 'reason'),
    [
        ('reset', 'the stream was reset'),
        ('deactivate', 'the node was deactivated'),
        ('query', 'a query interrupted it'),
    ],
)
def test_a_sentence_that_is_stopped_says_why(graph, scenes, how, reason):
    node = graph.active_vlo(max_new_tokens=4000, stale_after=0.3, interrupt=True)
    graph.show(scenes[:1])
    speak_without_end(node)
    _, result = send_goal(graph, 'What am I doing?')
    graph.wait_for(lambda: graph.heard('response/partial'))
    if how == 'reset':
        assert node.cameras[0].reset()
    elif how == 'deactivate':
        assert node.trigger_deactivate() == SUCCESS
    else:
        graph.ask('And now?', 'other')
    graph.wait_for(result.done)
    response = result.result().result.response
    assert (response.state, response.reason) == (CANCELLED, reason)
    assert response.num_tokens > 0


def test_a_late_cancel_leaves_the_next_sentence_alone(graph, scenes):
    node = graph.active_vlo(max_new_tokens=1000, silence_threshold=1.01)
    speak_without_end(node)
    graph.send(scenes[0], 100 * S)
    graph.wait_for(lambda: graph.heard('response/partial'))
    node.cameras[0].stop_response('ask-1')  # its answer has ended long ago
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    assert response.state == msg.Response.STATE_TRUNCATED
    assert response.reason == ''


def test_a_goal_that_waits_when_the_node_is_cleaned_up_gets_its_result(graph, scenes):
    node = graph.active_vlo(stale_after=300.0)
    graph.show(scenes[:1])
    _, result = send_goal(graph, 'What am I doing?')
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    graph.wait_for(result.done)
    assert result.result().result.response.reason == 'the node was cleaned up'


def test_a_query_that_no_frame_comes_to_is_refused_in_the_end(graph, scenes):
    node = graph.active_vlo(query_timeout=1.0, stale_after=300.0)
    graph.show(scenes[:1])
    graph.ask('And in a year?', 'mine', 30_000_000 * S)
    response = response_to(graph, 'mine')
    assert response.state == CANCELLED
    assert 'no frame with its stamp or a later one came within 1 s' in response.reason
    assert node.cameras[0].stream.backlog_queries == 0


def test_a_query_about_a_far_moment_does_not_hold_up_one_about_now(graph, scenes):
    graph.active_vlo(stale_after=0.5)
    graph.show(scenes[:1])
    graph.ask('And in a year?', 'then', 30_000_000 * S)
    graph.ask('What am I doing?', 'now')
    assert response_to(graph, 'now').text


def test_a_long_answer_does_not_make_others_due_without_their_frame(graph, scenes, monkeypatch):
    monkeypatch.setattr(CameraStream, 'is_stale', False)
    node = graph.active_vlo(max_new_tokens=4000, stale_after=0.1, frame_fps=20.0)
    graph.show(scenes[:1])
    camera = node.cameras[0]
    eos_id = camera.stream.decoder.template.eos_id
    speak_without_end(node)
    graph.ask('What am I doing?', 'long')
    graph.wait_for(lambda: graph.heard('response/partial'))
    graph.ask('And then?', 'then', 500 * S)
    graph.wait_for(lambda: camera.stream.backlog_queries)
    known = len(graph.heard('status'))
    graph.wait_for(lambda: len(graph.heard('status')) > known + 1)  # looked after meanwhile
    camera.stream.decoder.template.eos_id = eos_id
    camera.stop_response('long')
    assert response_to(graph, 'long').num_tokens > 0
    camera.stream.configure(silence_threshold=0.0)
    graph.show(scenes[:1], 200 * S)
    assert camera.stream.backlog_queries == 1


def test_all_cameras_are_reset_together(graph, monkeypatch):
    monkeypatch.setattr(vlo_node, 'RESET_TIMEOUT_S', 0.3)
    node = graph.active_vlo(cameras=['left', 'middle', 'right'])
    wait_reset, patience = CameraStream.wait_reset, []

    def note(camera, ticket, timeout_s):
        patience.append(timeout_s)
        return wait_reset(camera, ticket, timeout_s)

    monkeypatch.setattr(CameraStream, 'wait_reset', note)
    with node._decoding:  # the decoder is busy
        answer = node._on_reset_all(Trigger.Request(), Trigger.Response())
    assert not answer.success
    assert answer.message == 'still busy: left, middle, right'
    # What the first has waited is not waited again for the others.
    assert len(patience) == 3
    assert sum(patience) < 2 * 0.3
    monkeypatch.undo()
    assert node._on_reset_all(Trigger.Request(), Trigger.Response()).success


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_whatever_happens_each_query_gets_one_end(graph, scenes, monkeypatch, seed):
    random, faults = Random(seed), Random(seed + 100)  # each for one thread
    node = graph.active_vlo(max_new_tokens=8, backlog_queries=5, interrupt=bool(seed % 2))
    camera, forward = node.cameras[0], node.model.language.forward
    monkeypatch.setattr(
        node.model.language,
        'forward',
        lambda segments: plant() if faults.random() < 0.02 else forward(segments),
    )
    asked, stamp_ns = [], 100 * S
    graph.publisher('vlo/query', msg.Query)
    for _ in range(60):
        what = random.choice(['frame'] * 4 + ['query'] * 4 + ['stop', 'reset', 'gate', 'back'])
        if what == 'frame':
            stamp_ns += S // 2
            graph.deliver(
                node, image_message_of(scenes[random.randrange(len(scenes))], stamp_ns, 'eye')
            )
        elif what == 'query':
            asked.append(f'id{len(asked)}')
            graph.ask('What am I doing?', asked[-1], stamp_ns + random.randrange(-S, S))
        elif what == 'stop' and asked:
            camera.stop_response(random.choice(asked))
        elif what == 'reset':
            assert camera.reset()
        elif what == 'back':
            stamp_ns = max(stamp_ns - 5 * S, S)
        elif what == 'gate':
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_activate() == SUCCESS
    asked.append('last')
    graph.ask('', 'last')  # refused at once, so all before it have come
    response_to(graph, 'last')
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    graph.wait_for(lambda: {r.query_id for r in graph.heard('response')} >= set(asked))
    ends = [r for r in graph.heard('response') if r.query_id]
    assert sorted(r.query_id for r in ends) == sorted(asked), f'seed {seed}'
    assert all(r.reason for r in ends if r.state == CANCELLED)
    assert all(r.text and not r.reason for r in ends if r.state != CANCELLED)


def plant():
    raise ZeroDivisionError('planted')
