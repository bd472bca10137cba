# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad days of cameras: a camera process, a node process and this one that watches; real DDS."""

import re
import time
from itertools import pairwise

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from tests.ros.graph import TINY_MODEL, S
from tests.ros.processes import START_S, node_argv, process
from vlo_ros import msg
from vlo_ros.message_header import to_ns
from vlo_ros.sampling import Sampler, Sampling

pytestmark = pytest.mark.timeout(900)  # as long as its own waits
FRAMES = TINY_MODEL.parent / 'frames.npz'
CAPACITY = 32


PARAMETERS = {
    'inbox_images': 64,  # more than a test sends at once, except a flood
    'backlog_frames': CAPACITY,
    'max_new_tokens': 4,
    'stale_after': 300.0,  # queries wait for their frames
}


@pytest.fixture
def graph(live):
    return live.graph


def every(start_ns, fps, number, **fields):
    """Orders of `number` images at `fps`."""
    return [{'stamp_ns': start_ns + round(n * S / fps), **fields} for n in range(number)]


def changes(before, after):
    """What happened between two statuses, by counter."""
    return {
        name: getattr(after, name) - getattr(before, name)
        for name in (
            'frames_received',
            'frames_judged',
            'frames_skipped',
            'frames_dropped',
            'frames_rejected',
            'resets',
        )
    }


def is_accounted_for(before, status, number):
    """Whether `number` images have come and the end of each is counted."""
    change = changes(before, status)
    ended = sum(change[f'frames_{end}'] for end in ('judged', 'skipped', 'dropped', 'rejected'))
    return change['frames_received'] == ended == number


def wait_for_decisions(graph, number):
    decisions = graph.heard('decision')
    graph.wait_for(lambda: len(decisions) >= number)
    return list(decisions)


@pytest.fixture
def impatient(live):
    live.set(stale_after=1.0)
    yield
    live.set(stale_after=PARAMETERS['stale_after'])


def test_a_killed_camera_is_noticed_and_its_successor_watched(
    graph, live, impatient, tmp_path, measured
):
    argv = node_argv('camera', graph.namespace, source=FRAMES, fps=10.0, stamps='now', loop=True)
    diagnostics = graph.listen('/diagnostics', DiagnosticArray)
    images = graph.listen('image', Image)
    before, num_chars = live.status(), len(live.log.read_text())
    with process(argv, tmp_path / 'first.log') as first:
        graph.wait_for(lambda: len(graph.heard('decision')) >= 3, START_S)
        first.kill()
        killed_at = time.monotonic()
        live.status(lambda status: status.state == msg.StreamStatus.STATE_STALE)
        measured('noticed after s', round(time.monotonic() - killed_at, 1))
    name = f'{graph.namespace}/vlo: image'
    graph.wait_for(
        lambda: any(
            (found.name, found.level) == (name, DiagnosticStatus.ERROR)
            for array in diagnostics
            for found in array.status
        )
    )
    num_before = len(graph.heard('decision'))
    images.clear()
    with process(argv, tmp_path / 'second.log'):
        graph.wait_for(lambda: images, START_S)
        came_back_at = time.monotonic()
        decisions = wait_for_decisions(graph, num_before + 1)
        measured('watched again after s', round(time.monotonic() - came_back_at, 1))
        after = live.status(lambda status: status.state != msg.StreamStatus.STATE_STALE)
    # The same stream goes on: nothing was forgotten, no frame was judged twice.
    assert [decision.frame_index for decision in decisions] == list(range(len(decisions)))
    assert changes(before, after)['resets'] == 0
    # Once for each silence; a busy machine has a camera fall silent at other times too.
    said = re.findall('no image for|images again', live.log.read_text()[num_chars:])
    assert ('no image for', 'images again') in pairwise(said)
    assert all(line != following for line, following in pairwise(said))


def test_resolution_and_encoding_may_change_from_image_to_image(
    graph, live, scripted_camera, measured
):
    kinds = [
        {'encoding': 'rgb8', 'size': [64, 48]},
        {'encoding': 'bgr8', 'size': [160, 120]},
        {'encoding': 'mono8', 'size': [1, 1]},
        {'encoding': 'bayer_rggb8', 'size': [128, 96]},
        {'encoding': 'yuv422_yuy2', 'size': [62, 46]},
        {'encoding': 'rgba8', 'size': [320, 240]},
    ]
    orders = every(live.start_ns, 2.0, 24)
    for number, order in enumerate(orders):
        order |= kinds[number % len(kinds)]
    before = live.status()
    for number, order in enumerate(orders):  # one by one: best effort loses what comes in bursts
        scripted_camera.send([order])
        decisions = wait_for_decisions(graph, number + 1)
    assert [to_ns(decision.header.stamp) for decision in decisions] == [
        order['stamp_ns'] for order in orders
    ]
    after = live.status(lambda status: is_accounted_for(before, status, len(orders)))
    change = changes(before, after)
    measured('changes', len(orders) - 1)
    measured('judged', change['frames_judged'])
    assert change['frames_judged'] == len(orders)
    assert not (change['frames_rejected'] or change['frames_dropped'] or change['resets'])


def test_five_times_the_promised_rate_changes_nothing(graph, live, scripted_camera, measured):
    """What frame_fps does not want is let go of by its stamp; what it wants is all judged."""
    orders = every(live.start_ns, 10.0, 20)
    orders += every(live.start_ns + 2 * S, 50.0, 200)
    sampler = Sampler(2.0)
    wanted = [
        order['stamp_ns']
        for order in orders
        if sampler.judge(order['stamp_ns']) is Sampling.WANTED
    ]
    before = live.status()
    scripted_camera.send(orders)
    decisions = wait_for_decisions(graph, len(wanted))
    after = live.status(lambda status: is_accounted_for(before, status, len(orders)))
    assert [to_ns(decision.header.stamp) for decision in decisions] == wanted
    change = changes(before, after)
    measured('received', change['frames_received'])
    measured('judged', change['frames_judged'])
    assert (change['frames_dropped'], change['frames_rejected']) == (0, 0)


def test_a_flood_that_is_all_wanted_is_bounded_and_every_image_is_accounted_for(
    graph, live, scripted_camera, measured
):
    live.set(frame_fps=120.0)
    try:
        live.plant('hold')
        before = live.status()
        scripted_camera.send(every(live.start_ns, 120.0, 300))
        live.status(lambda status: changes(before, status)['frames_received'] == 300)
        (live.faults / 'hold').unlink()
        after = live.status(lambda status: is_accounted_for(before, status, 300))
    finally:
        live.set(frame_fps=2.0)
    change = changes(before, after)
    measured('judged', change['frames_judged'])
    measured('dropped and counted', change['frames_dropped'])
    assert change['frames_dropped'] > 0
    assert max(status.backlog_frames for status in graph.heard('status')) <= CAPACITY
    decisions = wait_for_decisions(graph, change['frames_judged'])
    stamps = [to_ns(decision.header.stamp) for decision in decisions]
    assert stamps == sorted(stamps)
    assert stamps[-1] == live.start_ns + round(
        299 * S / 120
    )  # the newest is never what is dropped


GARBAGE = [
    {'set': {'step': 3}},
    {'keep': 0.5},
    {'set': {'encoding': '32FC1'}},
    {'set': {'encoding': 'no such thing'}},
    {'set': {'width': 0, 'height': 0, 'step': 0}, 'keep': 0.0},
    {'set': {'height': 2**31}},
]


def test_garbage_images_are_left_out_and_those_between_them_judged(
    graph, live, scripted_camera, measured
):
    orders = every(live.start_ns, 2.0, 36)
    for number, order in enumerate(orders):
        if number % 2:
            order |= GARBAGE[number // 2 % len(GARBAGE)]
    before, num_lines = live.status(), len(live.complaints())
    scripted_camera.send(orders)
    decisions = wait_for_decisions(graph, 18)
    after = live.status(lambda status: is_accounted_for(before, status, 36))
    change = changes(before, after)
    measured('left out', change['frames_rejected'])
    measured('judged', change['frames_judged'])
    assert (change['frames_rejected'], change['frames_judged']) == (18, 18)
    assert [to_ns(d.header.stamp) for d in decisions] == [o['stamp_ns'] for o in orders[::2]]
    lines = live.complaints()[num_lines:]
    measured('lines logged', len(lines))
    assert len(lines) <= len(GARBAGE)
    assert after.last_error


def test_half_a_jpeg_is_left_out_and_the_next_one_judged(graph, live, scripted_camera, measured):
    with live.compressed():
        orders = every(live.start_ns, 2.0, 20, format='jpeg')
        for order in orders[1::2]:
            order['keep'] = 0.4
        before = live.status()
        scripted_camera.send(orders, 'image/compressed')
        decisions = wait_for_decisions(graph, 10)
        after = live.status(lambda status: is_accounted_for(before, status, 20))
    change = changes(before, after)
    measured('left out', change['frames_rejected'])
    measured('judged', change['frames_judged'])
    assert (change['frames_rejected'], change['frames_judged']) == (10, 10)
    assert [to_ns(d.header.stamp) for d in decisions] == [o['stamp_ns'] for o in orders[::2]]


def test_a_clock_that_jumps_back_starts_the_stream_afresh_and_tells_who_waits(
    graph, live, scripted_camera, measured
):
    begun = live.status()
    scripted_camera.send(every(live.start_ns, 2.0, 6))
    wait_for_decisions(graph, 6)
    graph.ask('And then?', 'waiting', live.start_ns + 100 * S)
    before = live.status(lambda status: status.backlog_queries == 1)
    live.plant('slow', 0.1)  # so that frames wait when it happens
    earlier_ns = live.start_ns - 300 * S
    scripted_camera.send(every(live.start_ns + 3 * S, 2.0, 20) + every(earlier_ns, 2.0, 6))
    after = live.status(lambda status: is_accounted_for(begun, status, 32))
    graph.wait_for(lambda: graph.heard('decision')[-1].header.stamp.sec * S == earlier_ns + 2 * S)
    (told,) = live.told(['waiting'])
    measured('dropped and counted', after.frames_dropped - begun.frames_dropped)
    measured('resets', after.resets - before.resets)
    measured('the waiting query', told.reason)
    assert after.resets - before.resets == 1
    assert told.state == msg.Response.STATE_CANCELLED and told.reason
    new = [d for d in graph.heard('decision') if to_ns(d.header.stamp) < live.start_ns]
    assert [decision.frame_index for decision in new] == list(range(len(new)))
    assert 4 <= len(new) <= 6
