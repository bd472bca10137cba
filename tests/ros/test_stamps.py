# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Header stamps that loop, jump, stray, come late or not at all."""

import re
from itertools import pairwise

import pytest
from rosgraph_msgs.msg import Clock

from tests.ros.graph import S, errors_of
from vlo_ros import msg
from vlo_ros.events import Frame
from vlo_ros.message_header import to_ns
from vlo_ros.ros.convert import image_message_of, to_time


def test_a_looping_recording_starts_the_stream_afresh(graph, scenes, capfd):
    graph.active_vlo()
    capfd.readouterr()
    for turn in range(3):
        for index, scene in enumerate(scenes[:24:3]):
            graph.send(scene, 100 * S + index * S // 2)
            # The first one back is judged when the second shows that it is no stray.
            num_judged = 8 * turn + (index + 1 if index or not turn else 0)
            graph.wait_for(lambda least=num_judged: len(graph.heard('decision')) >= least)
    graph.wait_for(lambda: any(status.resets == 2 for status in graph.heard('status')))
    rounds = [graph.heard('decision')[start : start + 8] for start in (0, 8, 16)]
    for later in rounds[1:]:  # two frames may have been judged in one forward
        probabilities = [decision.silence_probability for decision in rounds[0]]
        assert [d.silence_probability for d in later] == pytest.approx(probabilities, abs=1e-5)
        assert [d.frame_index for d in later] == list(range(8))
    (line,) = errors_of(capfd.readouterr())
    assert 'stamps went back by more than a second' in line


def test_a_frame_encoded_before_the_stream_has_started_afresh_is_not_lost(graph, scenes):
    node = graph.active_vlo()
    graph.show(scenes[:1])
    camera = node.cameras[0]
    old, new = node.model.encode([Frame(101 * S, 1, scenes[1]), Frame(7 * S, 0, scenes[2])])
    with node._decoding:
        epoch = camera._forgetting.ask('the camera started afresh', images_too=True)
        camera.judge.take_in([new], epoch)
        camera.judge.take_in([old], 0)
    camera._lanes.wake_decode()
    graph.wait_for(lambda: len(graph.heard('decision')) == 2)
    assert to_ns(graph.heard('decision')[-1].header.stamp) == 7 * S
    assert camera.stream.num_judged == 1
    assert camera.statistics.frames_forgotten == 1  # the old one


def test_frames_encoded_for_an_epoch_that_never_came_are_counted(graph, scenes):
    node = graph.active_vlo()
    graph.show(scenes[:1])
    camera = node.cameras[0]
    frames = node.model.encode([Frame((7 + n) * S, n, scenes[n]) for n in range(4)])
    with node._decoding:
        for frame in frames[:2]:
            first = camera._forgetting.ask('the camera started afresh', images_too=True)
            camera.judge.take_in([frame], first)
        camera.judge.take_in(frames[2:3], first - 1)
        camera.judge.take_in(frames[3:], first)
    camera._lanes.wake_decode()
    graph.wait_for(lambda: len(graph.heard('decision')) == 3)
    judged = [to_ns(decision.header.stamp) for decision in graph.heard('decision')[1:]]
    assert judged == [8 * S, 10 * S]
    assert camera.statistics.frames_forgotten == 2


def test_one_stray_stamp_is_left_out_and_the_stream_goes_on(graph, scenes, capfd):
    node = graph.active_vlo()
    graph.show(scenes[:3])
    capfd.readouterr()
    graph.deliver(node, image_message_of(scenes[9], 7 * S, 'eye'))
    graph.show(scenes[3:5], 102 * S)
    assert [decision.frame_index for decision in graph.heard('decision')] == list(range(5))
    statistics = node.cameras[0].statistics
    assert (statistics.resets, statistics.frames_rejected) == (0, 1)
    (line,) = errors_of(capfd.readouterr())
    assert 'one stamp went back by more than a second and the next did not' in line


def test_simulated_time_that_goes_back_vouches_for_the_first_image(graph, scenes):
    node = graph.active_vlo(use_sim_time=True)
    clock = graph.publisher('/clock', Clock)
    for now_s in (500, 100):
        clock.publish(Clock(clock=to_time(now_s * S)))
        graph.wait_for(lambda now_s=now_s: node.get_clock().now().nanoseconds == now_s * S)
        graph.show(scenes[:1], now_s * S)
    assert node.cameras[0].statistics.resets == 1


def test_stamps_that_jump_an_hour_ahead_change_nothing(graph, scenes, capfd):
    graph.active_vlo()
    capfd.readouterr()
    graph.show(scenes[:4])
    graph.show(scenes[4:8], start_ns=100 * S + 3600 * S)
    assert [decision.frame_index for decision in graph.heard('decision')] == list(range(8))
    assert not errors_of(capfd.readouterr())


def test_images_a_little_late_are_left_out(graph, scenes, capfd):
    node = graph.active_vlo()
    graph.show(scenes[:2])
    capfd.readouterr()
    for step_back in (S // 10, S // 5):
        graph.deliver(node, image_message_of(scenes[0], 100 * S + S // 2 - step_back, 'eye'))
    assert node.cameras[0].statistics.frames_rejected == 2
    (line,) = errors_of(capfd.readouterr())
    assert 'late images are not judged' in line
    graph.show(scenes[:2], 1000 * S)


def test_two_cameras_on_one_topic_are_noticed_once(graph, scenes, capfd):
    node = graph.active_vlo()
    capfd.readouterr()
    for index in range(6):
        name = ('left', 'right')[index % 2]
        graph.deliver(node, image_message_of(scenes[0], (100 + index) * S, name))
    (line,) = errors_of(capfd.readouterr())
    assert "'left'" in line and "'right'" in line and 'two cameras on one topic?' in line


def test_a_camera_that_falls_silent_is_announced_and_comes_back(graph, scenes, capfd):
    node = graph.active_vlo(stale_after=0.2)
    graph.show(scenes[:1])
    stale = msg.StreamStatus.STATE_STALE
    graph.wait_for(lambda: any(status.state == stale for status in graph.heard('status')))
    graph.deliver(node, image_message_of(scenes[1], 200 * S, 'eye'))
    err = ''

    def said():
        nonlocal err
        err += capfd.readouterr().err
        return re.findall('no image for|images again', err)

    graph.wait_for(lambda: ('no image for', 'images again') in pairwise(said()))
    # Each silence once, however often the machine makes the camera fall silent.
    assert all(line != following for line, following in pairwise(said()))
