# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one model: together what each says alone, in fewer forwards."""

import threading
from types import SimpleNamespace

import pytest
from rclpy.parameter import Parameter

from tests.ros.graph import S
from vlo_ros.ros.decode_lane import DecodeLane

CAMERAS = ('left', 'right')


def show_in_step(graph, node, scenes, start_ns):
    """Show one frame to each camera of `scenes` at a time; they wait for the decoder together."""
    for index in range(len(scenes['left'])):
        before = {name: len(graph.heard('decision', name)) for name in CAMERAS}
        with node._decoding:
            for name in CAMERAS:
                stamp_ns = start_ns + index * S // 2
                graph.send(scenes[name][index], stamp_ns, name, f'{name}/image')
            graph.wait_for(lambda: all(c.stream.backlog_frames for c in node.cameras))
        for name in CAMERAS:
            graph.wait_for(
                lambda name=name, before=before: len(graph.heard('decision', name)) > before[name]
            )


def said_since(graph, name, num_decisions, num_responses):
    """Verdicts and texts of a camera, once every response it decided on has ended."""
    verdicts = [decision.verdict for decision in graph.heard('decision', name)[num_decisions:]]
    num_spoken = num_responses + sum(verdict == 1 for verdict in verdicts)
    responses = graph.wait_for(
        lambda: len(heard := graph.heard('response', name)) >= num_spoken and heard
    )
    return verdicts, [response.text for response in responses[num_responses:]]


def test_cameras_judged_in_one_forward_say_what_they_say_alone(graph, scenes):
    shown = {'left': scenes[0:64:4], 'right': scenes[70:134:4]}
    node = graph.active_vlo(cameras=list(CAMERAS), batch=False)
    alone = {}
    for name in CAMERAS:
        graph.show(shown[name], topic=f'{name}/image', camera=name)
        alone[name] = said_since(graph, name, 0, 0)
    joined = [camera.statistics.forwards_joined for camera in node.cameras]
    assert joined == [0, 0]
    assert any(texts for _, texts in alone.values())

    node.set_parameters([Parameter('batch', value=True)])
    assert all(camera.reset() for camera in node.cameras)
    counts = {
        name: (len(graph.heard('decision', name)), len(graph.heard('response', name)))
        for name in CAMERAS
    }
    show_in_step(graph, node, shown, 1000 * S)
    assert {name: said_since(graph, name, *counts[name]) for name in CAMERAS} == alone
    for camera in node.cameras:
        assert camera.statistics.forwards_joined >= len(shown['left'])


def test_a_frame_waits_for_that_of_a_camera_in_step(graph, scenes):
    node = graph.active_vlo(cameras=list(CAMERAS), batch_wait=1.0, silence_threshold=0.0)
    node._decode_lane.wait_s = 60.0  # more than a person may set
    for index in range(3):
        for name in CAMERAS:
            graph.send(scenes[index], (100 + index) * S, name, f'{name}/image')
        for name in CAMERAS:
            graph.wait_for(
                lambda name=name, least=index: len(graph.heard('decision', name)) > least
            )
    assert node.cameras[0].statistics.forwards_joined >= 3


class Camera:
    """Stands in for a CameraStream: needs forwards named `segments`, one after the other."""

    def __init__(self, segments, language, expects_image=True):
        self.expects_image = expects_image
        self.statistics = SimpleNamespace(forwards_joined=0)
        self.judge = self
        self.language = language
        self.is_speaking = False
        self.waiting = list(segments)
        self.taken, self.failed, self.told, self.gave_up = [], [], [], ''

    def next_forward(self):
        return self.waiting[0] if self.waiting else None

    def take_logits(self, logits):
        self.taken.append(logits)
        self.waiting.pop(0)

    def feed_alone(self, segment):
        try:
            (logits,) = self.language.forward([segment])
        except ZeroDivisionError:
            self.failed.append(self.waiting.pop(0))
        else:
            self.take_logits(logits)

    def tell(self, what, error):
        self.told.append(what)

    def give_up(self, what, error):
        self.gave_up = f'{what}: {error}'


class Language:
    """Notes the forwards it does; fails those that hold a segment 'bad'."""

    def __init__(self):
        self.forwards = []

    def forward(self, segments):
        self.forwards.append(list(segments))
        if 'bad' in segments:
            raise ZeroDivisionError
        return [segment.upper() for segment in segments]


def joined_lane(wait_s=0.0):
    lane = DecodeLane()
    lane.is_joined, lane.wait_s = True, wait_s
    return lane


def test_what_is_due_at_once_is_one_forward():
    language = Language()
    cameras = [Camera(['a', 'b', 'c'], language), Camera(['x'], language), Camera([], language)]
    joined_lane().run(cameras)
    assert language.forwards == [['a', 'x'], ['b'], ['c']]
    assert [camera.taken for camera in cameras] == [['A', 'B', 'C'], ['X'], []]
    assert [camera.statistics.forwards_joined for camera in cameras] == [1, 1, 0]


def test_without_batching_cameras_take_turns():
    language = Language()
    DecodeLane().run([Camera(['a', 'b'], language), Camera(['x', 'y'], language)])
    assert language.forwards == [['a'], ['x'], ['b'], ['y']]


def test_in_a_joint_forward_that_fails_none_suffers_for_another():
    language = Language()
    cameras = [Camera(['a'], language), Camera(['bad', 'x'], language)]
    joined_lane().run(cameras)
    assert [camera.taken for camera in cameras] == [['A'], ['X']]
    assert [camera.failed for camera in cameras] == [[], ['bad']]
    assert len(cameras[0].told + cameras[1].told) == 1


def test_a_camera_that_cannot_go_on_gives_up_and_the_others_do_not():
    language = Language()
    broken, whole = Camera([], language), Camera(['a'], language)

    def fails():
        raise RuntimeError('planted')

    broken.next_forward = fails
    joined_lane().run([broken, whole])
    assert broken.gave_up == 'judging: planted'
    assert whole.taken == ['A']


class Never(threading.Event):
    """An event that nobody may wait for."""

    def wait(self, timeout=None):
        raise AssertionError('waited')


@pytest.mark.parametrize('why', ['one camera', 'others stale', 'a sentence'])
def test_nobody_waits_where_nothing_can_be_gained(why):
    language = Language()
    cameras = [Camera(['a'], language)]
    if why != 'one camera':
        cameras.append(Camera([], language, expects_image=why != 'others stale'))
    cameras[0].is_speaking = why == 'a sentence'
    lane = joined_lane(wait_s=1.0)
    lane.arrived = Never()
    lane.run(cameras)
    assert cameras[0].taken == ['A']
