# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera frames are wanted."""

import random

import pytest

from vlo_ros.events import NS_PER_S
from vlo_ros.sampling import Sampler, Sampling

HOUR_NS = 3600 * NS_PER_S


def stamps(camera_fps, seconds, start_ns=1_700_000_000_123_456_789):
    """Header stamps of a camera without jitter, rounded down as drivers do."""
    return [start_ns + int(n * NS_PER_S / camera_fps) for n in range(round(camera_fps * seconds))]


def wanted(sampler, times):
    """Positions in `times` of the frames that are wanted."""
    return [
        place
        for place, stamp_ns in enumerate(times)
        if sampler.judge(stamp_ns) in (Sampling.WANTED, Sampling.RESTARTED)
    ]


@pytest.mark.parametrize(
    ('camera_fps', 'frame_fps', 'first'),
    [
        (30, 2, [0, 15, 30, 45, 60]),
        (30, 10, [0, 3, 6, 9, 12]),
        (30, 0.5, [0, 60, 120, 180, 240]),
        (29.97, 2, [0, 15, 30, 45, 60]),
        (29.97, 10, [0, 3, 6, 9, 12]),
        (29.97, 0.5, [0, 60, 120, 180, 240]),
        (25, 2, [0, 13, 25, 38, 50]),
        (25, 10, [0, 3, 5, 8, 10]),
        (25, 0.5, [0, 50, 100, 150, 200]),
        (15, 2, [0, 8, 15, 23, 30]),
        (15, 10, [0, 2, 3, 5, 6]),
        (15, 0.5, [0, 30, 60, 90, 120]),
        (2, 2, [0, 1, 2, 3, 4]),
        (10, 10, [0, 1, 2, 3, 4]),
        (1, 2, [0, 1, 2, 3, 4]),
    ],
)
def test_the_first_frame_at_or_after_each_tick(camera_fps, frame_fps, first):
    sampler = Sampler(frame_fps)
    times = stamps(camera_fps, 600)
    chosen = wanted(sampler, times)
    assert chosen[:5] == first
    rate = min(camera_fps, frame_fps)
    assert len(chosen) == pytest.approx(600 * rate, abs=1)
    assert sampler.index == len(chosen) - 1
    # A quarter of a camera period early at most, a whole one late, from first to last.
    for tick, place in enumerate(chosen):
        late_ns = times[place] - times[0] - round(tick * NS_PER_S / rate)
        assert -0.25 <= late_ns / NS_PER_S * camera_fps <= 1


@pytest.mark.parametrize('frame_fps', [2, 10, 0.5])
def test_jitter_loses_no_frame_of_a_camera_at_the_wanted_rate(frame_fps):
    """Stamps tremble; a camera as fast as frame_fps is taken whole all the same."""
    chance = random.Random(5)
    period = NS_PER_S / frame_fps
    times = [int((n + chance.uniform(-0.04, 0.04)) * period) + HOUR_NS for n in range(400)]
    assert len(wanted(Sampler(frame_fps), times)) >= 396


def test_a_choice_depends_on_stamps_alone():
    """What arrives in between, late or twice, changes nothing for the rest."""
    times = stamps(30, 20)
    plain = [times[place] for place in wanted(Sampler(2), times)]
    sampler, chosen = Sampler(2), []
    for number, stamp_ns in enumerate(times):
        if number % 7 == 3:
            assert sampler.judge(times[number - 2]) is Sampling.LATE
        if sampler.judge(stamp_ns) is Sampling.WANTED:
            chosen.append(stamp_ns)
            assert sampler.judge(stamp_ns) is Sampling.UNWANTED
    assert chosen == plain
    assert sampler.num_late > 0


def test_a_gap_of_an_hour_costs_one_frame():
    sampler = Sampler(2)
    times = stamps(30, 5)
    before = wanted(sampler, times)
    assert before == list(range(0, 150, 15))
    after = wanted(sampler, [stamp_ns + HOUR_NS for stamp_ns in times])
    assert after == before
    assert sampler.index == 19


def test_going_back_is_late_up_to_a_second_and_a_new_beginning_beyond():
    sampler = Sampler(2)
    start = HOUR_NS
    assert sampler.judge(start) is Sampling.WANTED
    assert sampler.judge(start + NS_PER_S) is Sampling.WANTED
    assert sampler.judge(start) is Sampling.LATE
    assert sampler.num_late == 1
    assert sampler.judge(start - 1) is Sampling.RESTARTED
    assert sampler.index == 0
    assert sampler.judge(start + NS_PER_S // 4) is Sampling.UNWANTED
    assert sampler.judge(start + NS_PER_S // 2) is Sampling.WANTED
    assert sampler.index == 1


def test_a_looping_recording_is_sampled_alike_every_time():
    sampler = Sampler(2)
    times = stamps(30, 4)
    assert wanted(sampler, times) == wanted(sampler, times) == wanted(sampler, times)
    assert sampler.index == 7


def test_a_new_rate_holds_from_the_next_frame():
    sampler = Sampler(2)
    times = stamps(30, 4)
    assert wanted(sampler, times[:50]) == [0, 15, 30, 45]
    sampler.frame_fps = 10.0
    assert wanted(sampler, times[50:]) == list(range(0, 70, 3))
    assert sampler.index == 4 + 24 - 1


def test_reset_forgets_everything():
    sampler = Sampler(2)
    times = stamps(30, 2)
    first = wanted(sampler, times)
    sampler.judge(times[3])
    sampler.reset()
    assert (sampler.index, sampler.num_late) == (-1, 0)
    assert wanted(sampler, times) == first
