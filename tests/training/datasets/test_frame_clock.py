# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction

import pytest

from training.datasets.frame_clock import (
    ExactClock,
    OfficialClock,
    ceil_time,
    floor_time,
    round_time,
)


def test_rounding_as_recorded(rules):
    for case in rules['round_time']:
        arguments = (case['time'], case['fps'], case['min'], case['max'])
        assert round_time(*arguments) == case['round'], case
        assert ceil_time(*arguments) == case['ceil'], case
        assert floor_time(*arguments) == case['floor'], case


@pytest.mark.parametrize('fps', [1, 2, 4, 8])
def test_both_clocks_agree_where_the_frame_time_is_a_binary_fraction(fps):
    exact, official = ExactClock(fps), OfficialClock(fps)
    duration = 100 / fps
    for k in range(-50, 1100):
        time = k / 10
        for name in ('ceil', 'floor', 'round'):
            frame = getattr(exact, name)(time, 0, exact.end(duration))
            seconds = getattr(official, name)(time, 0, official.end(duration))
            assert exact.seconds(frame) == seconds
            assert exact.index(frame) == official.index(seconds)


@pytest.mark.parametrize('fps', [3, 5, 10, 15, 24, 25, 29.97, 30])
def test_exact_clock_is_exact(fps):
    clock = ExactClock(fps)
    seed = 7
    print('seed', seed)
    rng = random.Random(seed)
    for _ in range(2000):
        text = f'{rng.uniform(0, 4000):.{rng.randint(0, 4)}f}'
        frames = Fraction(text) * Fraction(str(fps))
        assert clock.ceil(float(text), 0, 10**9) == -(-frames // 1)
        assert clock.floor(float(text), 0, 10**9) == frames // 1


def test_the_official_clock_loses_frames_at_10_fps_and_the_exact_one_does_not():
    official, exact = OfficialClock(10), ExactClock(10)
    assert official.between(official.shift(11.3, -1), 11.3) == 0
    assert exact.between(exact.shift(113, -1), 113) == 1
    # 8.3 s is frame 249 of 30 fps; 8.3 * 30 is 249.00000000000003
    assert round(OfficialClock(30).ceil(8.3, 0, 100) * 30) == 250
    assert ExactClock(30).ceil(8.3, 0, 1000) == 249


def test_a_duration_between_frames_ends_at_the_last_frame():
    assert ExactClock(2).end(20.7) == 41
    assert OfficialClock(2).end(20.7) == 20.7
    assert ExactClock(3).end(100 / 3) == 100
