# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates and percentiles are those of what happened, over bounded windows."""

import math

import pytest

from vlo_ros.events import NS_PER_S as S
from vlo_ros.response_latency import LONGEST_NS, ResponseLatency
from vlo_ros.ros import statistics as module
from vlo_ros.ros.statistics import NUM_LATENCIES, WINDOW_S, Latency, Rate, StreamStatistics


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_a_young_rate_is_over_its_own_age(clock):
    rate = Rate()
    assert rate.per_second() == 0.0
    clock[0] += 2.0
    rate.count(6)
    assert rate.per_second() == 3.0


def test_a_rate_is_that_of_the_window_alone(clock):
    rate = Rate()
    for _ in range(10):  # 4 per second
        rate.count()
        clock[0] += 0.25
    clock[0] += 100.0
    assert rate.per_second() == 0.0
    for _ in range(100):  # 10 per second, for twice the window
        rate.count()
        clock[0] += 0.1
    assert rate.per_second() == pytest.approx(10.0, abs=1 / WINDOW_S)


def test_percentiles_are_those_of_the_values():
    latency = Latency()
    assert all(math.isnan(value) for value in latency.percentiles())
    for hundredths in range(101):
        latency.add_ns(hundredths * S // 100)
    assert latency.percentiles() == pytest.approx((0.5, 0.95, 0.99))


def test_what_is_no_latency_is_left_out():
    latency = Latency()
    for value in (None, LONGEST_NS + 1, -LONGEST_NS - 1):
        latency.add_ns(value)
    assert math.isnan(latency.percentiles()[0])
    latency.add_ns(-S)  # clocks that differ a little show
    assert latency.percentiles() == (-1.0, -1.0, -1.0)


def test_old_latencies_make_room():
    latency = Latency()
    for number in range(3 * NUM_LATENCIES):
        latency.add_ns(S if number < 2 * NUM_LATENCIES else 2 * S)
    assert latency.percentiles() == (2.0, 2.0, 2.0)


def test_rates_of_images_and_decisions_are_told_apart(clock):
    statistics = StreamStatistics()
    clock[0] += 2.0
    for _ in range(20):
        statistics.image_arrived()
    for _ in range(4):
        statistics.frame_judged()
    assert (statistics.frames_received, statistics.received.per_second()) == (20, 10.0)
    assert (statistics.frames_judged, statistics.judged.per_second()) == (4, 2.0)


def test_only_what_was_said_unasked_has_latencies():
    statistics = StreamStatistics()
    statistics.response_ended(None)  # cancelled
    statistics.response_ended(ResponseLatency(True, 50 * S, 51 * S))
    assert statistics.responses == 2
    assert math.isnan(statistics.first_token_latency.percentiles()[0])
    assert math.isnan(statistics.publish_latency.percentiles()[0])
    statistics.response_ended(ResponseLatency(False, S // 4, S))
    statistics.response_ended(ResponseLatency(False, None, 3 * S))  # never stamped
    assert statistics.responses == 4
    assert statistics.first_token_latency.percentiles() == (0.25, 0.25, 0.25)
    assert statistics.publish_latency.percentiles() == pytest.approx((2.0, 2.9, 2.98))
