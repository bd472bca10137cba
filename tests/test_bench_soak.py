# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated day of bench/soak.py: it lives, counts, and says what is off."""

import pytest

from bench.soak import QUALITY_BOUNDS, complaints, live, ratios

HOUR_S, WARM_UP_S = 240.0, 48.0  # long enough for the window to be cut


@pytest.fixture(scope='module')
def hours():
    return list(live(2, HOUR_S, WARM_UP_S))


def test_one_stream_lives_through_all_hours(hours):
    assert [hour['hour'] for hour in hours] == [1, 2]
    assert hours[1]['evictions'] > 0
    assert all(hour['narrations'] > 10 and hour['queries'] > 3 for hour in hours)
    assert all(hour['dropped'] == 0 for hour in hours)


def test_the_stream_is_right_about_what_was_drawn(hours):
    for hour in hours:
        assert hour['speak_f1_1s'] > 0.9 and hour['silence_kept'] > 0.9 and hour['exact'] > 0.8


def test_the_first_minutes_are_not_counted(hours):
    every = list(live(1, HOUR_S, 0.0))
    assert hours[0]['narrations'] < every[0]['narrations']


def day(**last):
    """Three hours that are alike but for the last."""
    hour = {'rss_mb': 600.0, 'p50_ms': 4.0, 'p99_ms': 20.0, 'dropped': 0}
    hour |= dict.fromkeys(QUALITY_BOUNDS, 0.97)
    return [{'hour': 1, **hour}, {'hour': 2, **hour}, {'hour': 3, **hour, **last}]


@pytest.mark.parametrize(
    ('last', 'says'),
    [
        ({'rss_mb': 607.0}, 'hour 3: 607.0 MB, 600.0 in the first'),
        ({'p99_ms': 22.5}, 'hour 3: p99 22.50 ms, 20.00 in the middle hour'),
        ({'dropped': 2}, 'hour 3: 2 frames dropped'),
        ({'exact': 0.9}, 'exact: 0.970 in the first hour, 0.900 in the last'),
        ({'queries_right': 0.8}, 'queries_right: 0.970 in the first hour, 0.800 in the last'),
    ],
)
def test_what_is_off_is_said(last, says):
    assert complaints(day()) == []
    assert complaints(day(**last)) == [says]


def test_ratios_are_of_the_last_hour_and_the_farthest():
    found = ratios([*day(rss_mb=570.0), {**day()[0], 'hour': 4, 'rss_mb': 606.0}])
    assert found['rss_mb_last_to_first_hour'] == pytest.approx(1.01)
    assert found['rss_mb_farthest_to_first_hour'] == pytest.approx(0.95)
