# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What diagnostics make of one stream's figures, threshold by threshold."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus

from vlo_ros import msg
from vlo_ros.events import NS_PER_S as S
from vlo_ros.response_latency import ResponseLatency
from vlo_ros.ros import statistics as module
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.statistics import WINDOW_S, StreamStatistics
from vlo_ros.ros.status import Vitals, arriving_share, diagnose, status_of

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
WATCHING, STALE, FAILED = (
    getattr(msg.StreamStatus, f'STATE_{name}') for name in ('WATCHING', 'STALE', 'FAILED')
)
NAN, GB = math.nan, 10**9
THRESHOLDS = NodeConfig(
    warn_latency=2.0,
    error_latency=10.0,
    warn_dropped=0.01,
    error_dropped=0.5,
    warn_fps=0.8,
    error_fps=0.1,
    warn_backlog=0.5,
    error_backlog=0.9,
    warn_gpu_memory=0.95,
    error_gpu_memory=0.99,
)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def status(**fields):
    """A stream on its good days, but for `fields`."""
    good = {'state': WATCHING, 'decision_latency_p95': NAN, 'backlog_capacity': 100}
    return msg.StreamStatus(**{**good, 'device': 'cpu', 'model': 'tiny', **fields})


def judge(fields=None, vitals=None, **thresholds):
    config = dataclasses.replace(THRESHOLDS, **thresholds)
    return diagnose('a stream', status(**(fields or {})), Vitals(**(vitals or {})), config)


@pytest.mark.parametrize(
    ('fields', 'vitals', 'level', 'message'),
    [
        ({}, {}, OK, 'watching'),
        ({'decision_latency_p95': 2.0}, {}, OK, 'watching'),
        ({'decision_latency_p95': 2.25}, {}, WARN, 'decisions 2.2 s late'),
        ({'decision_latency_p95': 10.0}, {}, WARN, 'decisions 10.0 s late'),
        ({'decision_latency_p95': 10.25}, {}, ERROR, 'decisions 10.2 s late'),
        ({}, {'dropped_share': 0.01}, OK, 'watching'),
        ({}, {'dropped_share': 0.02}, WARN, '2% of frames dropped'),
        ({}, {'dropped_share': 0.51}, ERROR, '51% of frames dropped'),
        ({'fps_received': 8.0}, {'arriving_share': 0.8}, OK, 'watching'),
        ({'fps_received': 2.0}, {'arriving_share': 0.2}, WARN, 'only 2.0 images/s arrive'),
        ({'fps_received': 1.0}, {'arriving_share': 0.1}, WARN, 'only 1.0 images/s arrive'),
        ({'fps_received': 0.5}, {'arriving_share': 0.05}, ERROR, 'only 0.5 images/s arrive'),
        ({}, {'arriving_share': NAN}, OK, 'watching'),
        ({'backlog_frames': 50}, {}, OK, 'watching'),
        ({'backlog_frames': 51}, {}, WARN, '51 of 100 frames wait'),
        ({'backlog_frames': 91}, {}, ERROR, '91 of 100 frames wait'),
        ({'last_error': 'long ago'}, {}, OK, 'watching'),
        ({'last_error': 'just now'}, {'recent': 'just now'}, WARN, 'just now'),
        ({'state': STALE}, {}, ERROR, 'no images'),
        ({'state': FAILED, 'last_error': 'why'}, {'recent': 'why'}, ERROR, 'failed; why'),
    ],
)
def test_each_figure_has_a_level(fields, vitals, level, message):
    diagnosis = judge(fields, vitals)
    assert (diagnosis.level, diagnosis.message) == (level, message)
    assert (diagnosis.name, diagnosis.hardware_id) == ('a stream', 'tiny')


def test_the_worst_is_the_level_and_all_are_said():
    diagnosis = judge({'backlog_frames': 60}, {'dropped_share': 0.6, 'recent': 'something'})
    assert diagnosis.level == ERROR
    assert diagnosis.message == '60% of frames dropped; 60 of 100 frames wait; something'


@pytest.mark.parametrize(
    ('fields', 'vitals', 'threshold'),
    [
        ({'decision_latency_p95': 5.0}, {}, {'warn_latency': 6.0}),
        ({}, {'dropped_share': 0.4}, {'warn_dropped': 0.45}),
        ({}, {'arriving_share': 0.15}, {'warn_fps': 0.12}),
        ({'backlog_frames': 80}, {}, {'warn_backlog': 0.85}),
    ],
)
def test_thresholds_are_those_of_the_parameters(fields, vitals, threshold):
    assert judge(fields, vitals).level == WARN
    assert judge(fields, vitals, **threshold).level == OK
    (name,) = threshold
    stricter = {name.replace('warn', 'error'): 1.0 if name == 'warn_fps' else 0.1}
    assert judge(fields, vitals, **stricter).level == ERROR


@pytest.mark.parametrize(
    ('used_gb', 'level', 'message'),
    [
        (76, OK, 'watching'),
        (77, WARN, '96.2% of the memory of cuda:1 in use'),
        (79.5, ERROR, '99.4% of the memory of cuda:1 in use'),
    ],
)
def test_gpu_memory_is_that_of_the_model_s_device(monkeypatch, used_gb, level, message):
    asked = []

    def mem_get_info(device):
        asked.append(device)
        return int((80 - used_gb) * GB), 80 * GB

    monkeypatch.setattr(torch.cuda, 'mem_get_info', mem_get_info)
    diagnosis = judge({'device': 'cuda:1'})
    assert asked == [torch.device('cuda', 1)]
    assert (diagnosis.level, diagnosis.message) == (level, message)
    values = {pair.key: pair.value for pair in diagnosis.values}
    assert (values['gpu_memory_used_gb'], values['gpu_memory_total_gb']) == (f'{used_gb}', '80')


def test_a_gpu_that_does_not_answer_leaves_the_rest_of_the_health(monkeypatch):
    def mem_get_info(device):
        raise RuntimeError('CUDA error: unspecified launch failure\nmore of it')

    monkeypatch.setattr(torch.cuda, 'mem_get_info', mem_get_info)
    diagnosis = judge({'device': 'cuda:0', 'frames_judged': 7})
    assert diagnosis.level == ERROR
    assert diagnosis.message.startswith('cuda:0 does not answer: CUDA error: unspecified')
    assert {pair.key: pair.value for pair in diagnosis.values}['frames_judged'] == '7'


def test_on_the_cpu_no_gpu_is_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'mem_get_info', None)
    assert judge({'device': 'cpu'}).level == OK


# -- the status ----------------------------------------------------------------------------


def test_the_status_tells_each_figure_under_its_own_name(clock):
    counts = StreamStatistics()
    clock[0] += 2.0
    for _ in range(20):
        counts.image_arrived()
    for hundredths in range(4):
        counts.frame_judged()
        counts.decision_latency.add_ns(hundredths * S // 100)
    for tenths in range(101):
        counts.response_ended(ResponseLatency(False, tenths * S // 10, 2 * tenths * S // 10))
    decoder = SimpleNamespace(cache=SimpleNamespace(length=11, capacity=12))
    stream = SimpleNamespace(
        backlog_frames=13,
        backlog_queries=14,
        config=SimpleNamespace(backlog_frames=15),
        decoder=decoder,
        num_evictions=16,
    )
    told = status_of(
        SimpleNamespace(
            statistics=counts,
            stream=stream,
            num_dropped=17,
            failure='',
            notices=SimpleNamespace(last='a line'),
            is_open=True,
            is_stale=False,
            judge=SimpleNamespace(is_speaking=True),
            images=SimpleNamespace(frame_id='eye'),
        ),
        'tiny',
        'cpu',
    )
    assert (told.state, told.header.frame_id) == (msg.StreamStatus.STATE_RESPONDING, 'eye')
    assert (told.frames_received, told.fps_received) == (20, 10.0)
    assert (told.frames_judged, told.fps_judged) == (4, 2.0)
    assert (told.responses, told.frames_dropped, told.evictions) == (101, 17, 16)
    assert (told.backlog_frames, told.backlog_capacity, told.backlog_queries) == (13, 15, 14)
    assert (told.cache_tokens, told.cache_capacity, told.last_error) == (11, 12, 'a line')
    percentiles = {
        stage: [getattr(told, f'{stage}_latency_p{percent}') for percent in (50, 95, 99)]
        for stage in ('decision', 'first_token', 'publish')
    }
    assert percentiles['decision'] == pytest.approx([0.015, 0.0285, 0.0297])
    assert percentiles['first_token'] == pytest.approx([5.0, 9.5, 9.9])
    assert percentiles['publish'] == pytest.approx([10.0, 19.0, 19.8])


# -- images that arrive --------------------------------------------------------------------


def camera(frame_fps, is_open=True, is_stale=False):
    stream = SimpleNamespace(config=SimpleNamespace(frame_fps=frame_fps))
    return SimpleNamespace(
        statistics=StreamStatistics(), stream=stream, is_open=is_open, is_stale=is_stale
    )


def watch(camera, clock, fps, seconds, pace=1.0):
    for number in range(round(fps * seconds)):
        clock[0] += 1 / fps
        camera.statistics.image_arrived()
        camera.statistics.pace.note(round(number * pace / fps * 1e9))


def test_ten_a_second_wanted_and_two_arriving_is_a_fifth(clock):
    slow = camera(frame_fps=10.0)
    watch(slow, clock, fps=2.0, seconds=2 * WINDOW_S)
    assert arriving_share(slow) == pytest.approx(0.2, abs=0.03)
    assert judge(vitals={'arriving_share': arriving_share(slow)}).level == WARN


def test_of_a_recording_played_slowly_fewer_images_are_wanted(clock):
    played = camera(frame_fps=10.0)
    watch(played, clock, fps=3.0, seconds=2 * WINDOW_S, pace=0.3)
    assert arriving_share(played) == pytest.approx(1.0, abs=0.1)


def test_stamps_that_stand_still_or_go_back_tell_no_pace(clock):
    for pace in (0.0, -1.0):
        odd = camera(frame_fps=10.0)
        watch(odd, clock, fps=2.0, seconds=2 * WINDOW_S, pace=pace)
        assert arriving_share(odd) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize('frame_fps', [0.25, 1.0, 2.0, 30.0])
def test_a_camera_of_just_the_wanted_rate_is_never_too_slow(clock, frame_fps):
    just = camera(frame_fps)
    watch(just, clock, frame_fps, 3 * max(WINDOW_S, 1 / frame_fps))
    for _ in range(20):
        assert arriving_share(just) >= 0.99
        clock[0] += 0.05 / frame_fps


def test_it_is_not_told_before_it_can_be(clock):
    young = camera(frame_fps=10.0)
    watch(young, clock, fps=2.0, seconds=WINDOW_S - 0.5)
    assert math.isnan(arriving_share(young))
    clock[0] += 0.5
    assert arriving_share(young) < 0.3
    for state in ({'is_open': False}, {'is_stale': True}):
        resting = camera(10.0, **state)
        clock[0] += 2 * WINDOW_S
        assert math.isnan(arriving_share(resting))
