# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node on a live graph: what goes in on topics, what comes out, and in which states."""

import weakref
from itertools import pairwise
from threading import Event

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from std_srvs.srv import Trigger

from tests.ros.endless import endless
from tests.ros.graph import S
from vlo_ros import msg
from vlo_ros.message_header import to_ns
from vlo_ros.ros.convert import image_message_of
from vlo_ros.ros.image_input import ImageInput

SUCCESS = TransitionCallbackReturn.SUCCESS


def test_every_response_carries_the_stamp_of_a_published_frame(graph, scenes):
    graph.active_vlo()
    stamps = graph.show(scenes[::12])
    decisions = graph.heard('decision')
    assert [to_ns(decision.header.stamp) for decision in decisions] == stamps
    assert [decision.frame_index for decision in decisions] == list(range(len(stamps)))
    spoke = [d for d in decisions if d.verdict == msg.Decision.VERDICT_RESPOND]
    responses = graph.wait_for(
        lambda: len(graph.heard('response')) == len(spoke) and graph.heard('response')
    )
    assert responses
    for decision, response in zip(spoke, responses, strict=True):
        assert response.header == decision.header
        assert response.header.frame_id == 'eye'
        assert response.text and response.text == response.text.strip()
        assert response.state == msg.Response.STATE_FINISHED
        assert response.trigger == msg.Response.TRIGGER_PROACTIVE
        assert response.query_id == ''
        assert response.silence_probability == decision.silence_probability
        assert to_ns(response.first_token_stamp) <= to_ns(response.finished_stamp)
    assert [response.sequence for response in responses] == list(range(len(responses)))


def test_partials_grow_to_the_response(graph, scenes):
    graph.active_vlo(silence_threshold=1.01)
    graph.show(scenes[:1])
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    partials = graph.wait_for(
        lambda: (
            (heard := graph.heard('response/partial'))
            and heard[-1].text == response.text
            and heard
        )
    )
    for before, after in pairwise(partials):
        assert after.text.startswith(before.text)
        assert after.num_tokens == before.num_tokens + 1
    assert all(partial.state == msg.Response.STATE_PARTIAL for partial in partials)
    assert {partial.sequence for partial in partials} == {response.sequence}


def test_frames_that_frame_fps_does_not_want_are_not_judged(graph, scenes):
    node = graph.active_vlo()
    start = 50 * S
    for index in range(31):  # one second at 30 Hz, the grid is 2 per second
        graph.deliver(node, image_message_of(scenes[0], start + index * S // 30, 'eye'))
    graph.wait_for(lambda: len(graph.heard('decision')) == 3)
    stamps = [to_ns(decision.header.stamp) - start for decision in graph.heard('decision')]
    assert stamps == [0, S // 2, S]
    status = graph.wait_for(
        lambda: next((s for s in graph.heard('status') if s.frames_judged == 3), None)
    )
    assert (status.frames_received, status.frames_skipped, status.frames_dropped) == (31, 28, 0)


@pytest.mark.parametrize('query_id', ['', 'mine'])
def test_a_query_is_answered(graph, scenes, query_id):
    graph.active_vlo()
    graph.show(scenes[:2])
    graph.ask('What am I doing?', query_id, 100 * S + S // 2 + 1)
    graph.show(scenes[2:3], start_ns=101 * S)
    response = graph.wait_for(
        lambda: next((r for r in graph.heard('response') if r.trigger), None)
    )
    assert response.query_id == (query_id or 'q1')
    assert response.text
    assert response.reason == ''
    assert response.silence_probability != response.silence_probability  # nan
    assert to_ns(response.header.stamp) == 100 * S + S // 2  # the newest frame it had seen


def test_a_query_without_stamp_is_answered_though_the_camera_stands_still(graph, scenes):
    graph.active_vlo(stale_after=0.5)
    graph.show(scenes[:1])
    graph.ask('What am I doing?')
    response = graph.wait_for(
        lambda: next((r for r in graph.heard('response') if r.trigger), None)
    )
    assert response.state == msg.Response.STATE_FINISHED


def test_lifecycle_there_and_back_again(graph, scenes, monkeypatch):
    on_image, num_seen = ImageInput.on_image, 0

    def note(images, serialized):
        nonlocal num_seen
        on_image(images, serialized)
        num_seen += 1

    monkeypatch.setattr(ImageInput, 'on_image', note)
    node = graph.active_vlo()
    graph.show(scenes[:1])
    assert node.trigger_deactivate() == SUCCESS
    graph.send(scenes[0], 200 * S)  # the gate is closed
    graph.wait_for(lambda: num_seen == 2)
    assert node.trigger_activate() == SUCCESS
    graph.show(scenes[:1], start_ns=300 * S)
    stamps = [to_ns(decision.header.stamp) for decision in graph.heard('decision')]
    assert stamps == [100 * S, 300 * S]
    assert node.trigger_deactivate() == SUCCESS
    held = [weakref.ref(node.model), weakref.ref(node.cameras[0].stream)]
    assert node.trigger_cleanup() == SUCCESS
    assert (node.model, node.cameras) == (None, [])
    graph.wait_for(lambda: [reference() for reference in held] == [None, None])
    graph.wait_for(lambda: not graph.watcher.count_subscribers(f'{graph.namespace}/image'))
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.wait_for(graph.publisher('image', None).get_subscription_count)
    graph.show(scenes[:1], start_ns=400 * S)
    assert node.trigger_shutdown() == SUCCESS


def test_deactivate_waits_for_one_encode_at_most_and_the_stream_goes_on(
    graph, scenes, monkeypatch
):
    node = graph.active_vlo(encode_batch=1, stale_after=300.0)
    graph.show(scenes[:1])
    camera, encode = node.cameras[0], node.model.encode
    begun, may_go_on, batches = Event(), Event(), []

    def held(frames):
        batches.append(len(frames))
        begun.set()
        assert may_go_on.wait(60)
        return encode(frames)

    with monkeypatch.context() as slow:
        slow.setattr(type(node.model), 'encode', lambda model, frames: held(frames))
        for index in range(1, 6):
            graph.deliver(node, image_message_of(scenes[index], (100 + index) * S, 'eye'))
        graph.wait_for(begun.is_set)
        camera.close()
        may_go_on.set()
        assert node.trigger_deactivate() == SUCCESS
    assert batches == [1]
    assert camera.num_dropped == 4
    assert node.trigger_activate() == SUCCESS
    assert camera.num_dropped == 0
    graph.wait_for(lambda: len(graph.heard('decision')) == 2)
    graph.show(scenes[6:7], 106 * S)
    assert [decision.frame_index for decision in graph.heard('decision')] == [0, 1, 6]
    for moment in (7, 8):  # goes back: the stream starts afresh
        graph.deliver(node, image_message_of(scenes[moment], moment * S, 'eye'))
    graph.wait_for(lambda: len(graph.heard('decision')) == 5)
    assert camera.statistics.resets == 1


def test_deactivate_stops_a_sentence_between_two_tokens(graph, scenes):
    node = graph.active_vlo(silence_threshold=1.01, max_new_tokens=4000)
    stream = node.cameras[0].stream
    stream.decoder.template.eos_id = -1  # it never finds an end by itself
    graph.send(scenes[0], 100 * S)
    graph.wait_for(lambda: graph.heard('response/partial'))
    assert node.trigger_deactivate() == SUCCESS
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    assert response.state == msg.Response.STATE_CANCELLED
    assert 0 < response.num_tokens < 4000


def test_perception_goes_on_while_a_sentence_is_spoken(graph, scenes, monkeypatch):
    node = graph.active_vlo(silence_threshold=1.01, max_new_tokens=4000)
    camera, forward, num_waiting = node.cameras[0], node.model.language.forward, 12
    may_hurry, was_speaking = Event(), []

    def noted(segments):
        was_speaking.append(camera.judge.is_speaking)
        may_hurry.wait(0.01)  # 4000 tokens are as good as no end
        return forward(segments)

    monkeypatch.setattr(node.model.language, 'forward', noted)
    with endless(node):
        graph.send(scenes[0], 100 * S)
        graph.wait_for(lambda: graph.heard('response/partial'))
        camera.stream.configure(silence_threshold=0.0)
        was_speaking.clear()
        for number in range(num_waiting):
            image = image_message_of(scenes[number % 3], 101 * S + number * S // 2, 'eye')
            graph.deliver(node, image)
        status = graph.wait_for(
            lambda: next(
                (s for s in graph.heard('status') if s.backlog_frames == num_waiting), None
            )
        )
        assert status.state == msg.StreamStatus.STATE_RESPONDING
        assert len(graph.heard('decision')) == 1 and not graph.heard('response')
        assert all(was_speaking)
    camera.stream.configure(max_new_tokens=1)
    may_hurry.set()
    graph.wait_for(lambda: len(graph.heard('decision')) == 1 + num_waiting)
    graph.wait_for(lambda: graph.heard('response'))
    indices = [decision.frame_index for decision in graph.heard('decision')]
    assert indices == list(range(1 + num_waiting))
    assert camera.num_dropped == 0
    assert 0 < was_speaking.count(False) < num_waiting


def test_reset_makes_the_stream_as_good_as_new(graph, scenes):
    graph.active_vlo()
    graph.show(scenes[:30:3])
    first = [(d.verdict, d.silence_probability) for d in graph.heard('decision')]
    service = graph.watcher.create_client(Trigger, 'vlo/reset')
    graph.wait_for(service.service_is_ready)
    future = service.call_async(Trigger.Request())
    graph.wait_for(future.done)
    assert future.result().success
    graph.show(scenes[:30:3], start_ns=200 * S)
    again = [(d.verdict, d.silence_probability) for d in graph.heard('decision')[len(first) :]]
    assert again == first
    indices = [decision.frame_index for decision in graph.heard('decision')]
    assert indices == list(range(10)) * 2


def test_two_cameras_share_a_model_and_nothing_else(graph, scenes):
    graph.active_vlo(cameras=['left', 'right'])
    left = graph.show(scenes[0:20:2], topic='left/image', camera='left', frame_id='l')
    right = graph.show(scenes[60:80:2], 7 * S, topic='right/image', camera='right', frame_id='r')
    for camera, stamps, frame_id in (('left', left, 'l'), ('right', right, 'r')):
        decisions = graph.heard('decision', camera)
        assert [to_ns(decision.header.stamp) for decision in decisions] == stamps
        spoke = [d for d in decisions if d.verdict == msg.Decision.VERDICT_RESPOND]
        responses = graph.heard('response', camera)
        graph.wait_for(lambda spoke=spoke, heard=responses: len(heard) == len(spoke))
        assert {response.header.frame_id for response in responses} == {frame_id}
        assert [response.header for response in responses] == [d.header for d in spoke]
    graph.ask('What am I doing?', 'only right', 11 * S, camera='right')
    graph.show(scenes[80:81], 12 * S, topic='right/image', camera='right')
    graph.wait_for(
        lambda: any(r.query_id == 'only right' for r in graph.heard('response', 'right'))
    )
    assert {response.query_id for response in graph.heard('response', 'left')} == {''}


def test_services_answer_while_a_transition_is_under_way(graph, monkeypatch):
    from lifecycle_msgs.srv import ChangeState, GetState

    from vlo_ros.ros import vlo_node

    is_loading, may_go_on = Event(), Event()
    load_model = vlo_node.load_model

    def slow(config):
        is_loading.set()
        assert may_go_on.wait(30)
        return load_model(config)

    monkeypatch.setattr(vlo_node, 'load_model', slow)
    graph.vlo()
    change = graph.watcher.create_client(ChangeState, 'vlo/change_state')
    get = graph.watcher.create_client(GetState, 'vlo/get_state')
    graph.wait_for(lambda: change.service_is_ready() and get.service_is_ready())
    request = ChangeState.Request()
    request.transition.id = 1
    changed = change.call_async(request)
    graph.wait_for(is_loading.is_set)
    got = get.call_async(GetState.Request())
    graph.wait_for(got.done)
    assert got.result().current_state.label == 'configuring'
    may_go_on.set()
    graph.wait_for(changed.done)
    assert changed.result().success
