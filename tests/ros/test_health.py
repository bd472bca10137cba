# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What failed is said as STATE_FAILED, with the reason, and there is a way back."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from tests.ros.graph import TINY_MODEL, S
from vlo_ros import msg
from vlo_ros.ros.camera_stream import CameraStream

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
FAILED, WATCHING = msg.StreamStatus.STATE_FAILED, msg.StreamStatus.STATE_WATCHING


def wait_for_state(graph, state, camera=''):
    """Wait for a status with `state`, newer than those heard so far."""
    heard = graph.heard('status', camera)
    known = len(heard)
    return graph.wait_for(
        lambda: next((status for status in heard[known:] if status.state == state), None)
    )


def wait_for_diagnosis(graph, arrays, words):
    """Wait for an ERROR of this namespace's node that holds `words`."""
    return graph.wait_for(
        lambda: any(
            status.level == DiagnosticStatus.ERROR and words in status.message
            for array in arrays
            for status in array.status
            if status.name.startswith(f'{graph.namespace}/')
        )
    )


def plant(*arguments, **options):
    raise ZeroDivisionError('planted')


def test_a_model_that_cannot_be_loaded_shows_in_the_status(graph):
    node = graph.vlo(model='/nowhere.yaml')
    graph.hear()
    assert node.trigger_configure() == FAILURE
    status = wait_for_state(graph, FAILED)
    assert status.last_error.startswith('configure failed: model YAML /nowhere.yaml')
    assert status.model == '/nowhere.yaml'
    node.set_parameters([Parameter('model', value=str(TINY_MODEL))])
    assert node.trigger_configure() == SUCCESS
    wait_for_state(graph, msg.StreamStatus.STATE_INACTIVE)


def test_a_stream_that_cannot_start_afresh_gives_up_until_it_is_activated(
    graph, scenes, monkeypatch
):
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    node = graph.active_vlo(cameras=['left', 'right'])
    graph.show(scenes[:1], topic='left/image', camera='left')
    left = node.cameras[0]
    with monkeypatch.context() as broken:
        broken.setattr(left.stream, 'reset', plant)
        left.ask_reset()
        status = wait_for_state(graph, FAILED, 'left')
    assert status.last_error == 'judging failed: planted'
    wait_for_diagnosis(graph, arrays, 'failed; judging failed: planted')
    graph.ask('Anybody there?', 'mine', camera='left')
    (response,) = graph.wait_for(lambda: graph.heard('response', 'left'))
    assert response.reason == 'the stream has failed: judging failed: planted'
    graph.show(scenes[:2], topic='right/image', camera='right')  # the other one goes on
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.show(scenes[:1], 200 * S, topic='left/image', camera='left')
    assert wait_for_state(graph, WATCHING, 'left').resets == 1


def test_a_lane_that_breaks_takes_every_camera_with_it_and_says_so(graph, scenes, monkeypatch):
    node = graph.active_vlo()
    graph.show(scenes[:1])
    with monkeypatch.context() as broken:
        broken.setattr(node._decode_lane, 'run', plant)
        graph.send(scenes[1], 101 * S)
        assert wait_for_state(graph, FAILED).last_error == 'judging failed: planted'
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.show(scenes[:1], 200 * S)


def test_forwards_that_keep_failing_are_a_failure_until_one_succeeds(graph, scenes, monkeypatch):
    node = graph.active_vlo(stale_after=300.0)
    graph.show(scenes[:1])
    statistics = node.cameras[0].statistics
    with monkeypatch.context() as broken:
        broken.setattr(node.model.language, 'forward', plant)
        for index in range(3):
            graph.send(scenes[0], (200 + index) * S)
            graph.wait_for(lambda index=index: statistics.failures_in_a_row > index)
        assert 'judging failed: planted' in wait_for_state(graph, FAILED).last_error
    graph.show(scenes[:1], 300 * S)
    wait_for_state(graph, WATCHING)


def test_the_share_of_lost_frames_counts_from_activation(graph):
    node = graph.active_vlo()
    (camera,) = node.cameras
    share = node._reporter._dropped_share
    with node._watching:
        camera.images.inbox.num_dropped, camera.statistics.frames_judged = 50, 50
        assert share(camera) == 0.5
        assert share(camera) == 0.0
    assert node.trigger_deactivate() == SUCCESS
    with node._watching:
        camera.images.inbox.num_dropped += 16  # the gate closed upon them
        assert share(camera) == 0.0
    assert node.trigger_activate() == SUCCESS
    with node._watching:
        assert camera.num_dropped == 0
        camera.images.inbox.num_dropped += 1
        camera.statistics.frames_judged += 3
        assert share(camera) == 0.25


def test_a_camera_that_dies_after_its_first_frame_is_stale(graph, scenes):
    node = graph.active_vlo(instruction='Please narrate.', stale_after=0.5, chunk='1')
    graph.show(scenes[:1])
    wait_for_state(graph, msg.StreamStatus.STATE_STALE)
    assert node.trigger_deactivate() == SUCCESS
    assert len(graph.heard('decision')) == 1
    assert not node.cameras[0].judge._stop_reason


def test_cameras_leave_the_graph_while_both_lanes_are_held_still(graph, monkeypatch):
    node = graph.active_vlo()
    held = []
    destroy = CameraStream.destroy

    def watched(camera):
        held.append((node._encoding.locked(), node._decoding.locked()))
        destroy(camera)

    monkeypatch.setattr(CameraStream, 'destroy', watched)
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert held == [(True, True)]
