# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three minutes of bench/node_soak.py: nothing grows, and a leak would be seen."""

import pytest

from bench.node_soak import Bounds, Plan, Soak, run, trend
from tests.ros.live_vlo import python_path

FPS = 5.0  # a busy machine keeps up with it
SECONDS, SETTLE_S, SETTLE_JUDGED = 145.0, 25.0, 160
# Allocators still warm up; what is lost with every image or every forward is far more than that.
# rclpy starts threads of its pool when it needs them.
BOUNDS = Bounds(rss_mb=15.0, threads=2.0, latency_s=1.0)
LEAK_BYTES = 200_000  # of every forward, five a second and more


def soak(tmp_path, monkeypatch, namespace):
    """Run the node and a camera; what is in tmp_path/faults happens to the node."""
    monkeypatch.setenv('VLO_TEST_FAULTS', str(tmp_path / 'faults'))
    monkeypatch.setenv('PYTHONPATH', python_path())
    monkeypatch.setenv('MALLOC_ARENA_MAX', '1')  # one that warms up, not one a thread
    plan = Plan(
        seconds=SECONDS,
        settle_s=SETTLE_S,
        settle_judged=SETTLE_JUDGED,
        sample_s=1.0,
        query_s=4.0,
        camera={'source': 'rendered:3', 'fps': FPS, 'stamps': 'now'},
        vlo={
            'model': 'bundled',
            'frame_fps': FPS,
            'window_tokens': 1024,  # small, so that it is evicted from again and again
            f'qos_overrides.{namespace}/image.subscription.reliability': 'reliable',
        },
        module='tests.ros.faulty_vlo',
    )
    return run(plan, tmp_path, namespace)


@pytest.fixture
def faults(tmp_path):
    (tmp_path / 'faults').mkdir()
    return tmp_path / 'faults'


@pytest.mark.timeout(900)
def test_nothing_grows(faults, tmp_path, monkeypatch, measured, graph):
    result = soak(tmp_path, monkeypatch, graph.namespace)
    trends = result.trends()
    for what in ('node_rss_mb', 'camera_rss_mb'):
        measured(f'growth of {what}', round(trends[what]['growth'], 2))
    measured('judged', result.samples[-1]['judged'])
    measured('evictions', result.samples[-1]['evictions'])
    assert result.complaints(BOUNDS) == []
    assert result.samples[-1]['evictions'] > 0 and result.answered > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_leak_is_seen(faults, tmp_path, monkeypatch, graph):
    (faults / 'leak').write_text(str(LEAK_BYTES))
    (line,) = soak(tmp_path, monkeypatch, graph.namespace).complaints(BOUNDS)
    assert line.startswith('node: resident memory grew by')


def rows(**columns):
    """Samples of a quiet run of 100 s, with some columns as given."""
    quiet = {
        **{f'{process}_rss_mb': 500.0 for process in ('node', 'camera')},
        **{f'{process}_handles': 18 for process in ('node', 'camera')},
        **{f'{process}_threads': 27 for process in ('node', 'camera')},
        'decision_p50_s': 0.1,
    }
    return [
        {'seconds': 10.0 * n, 'judged': n, **quiet, **{k: v(n) for k, v in columns.items()}}
        for n in range(10)
    ]


@pytest.mark.parametrize(
    ('column', 'values', 'says'),
    [
        ('node_rss_mb', lambda n: 500 + 2.0 * n, 'node: resident memory grew by 18.0 MB'),
        ('camera_handles', lambda n: 18 + n // 3, 'camera: handles went from 18 to 20'),
        ('node_threads', lambda n: 27 + n // 5, 'node: threads went from 27 to 28'),
        ('decision_p50_s', lambda n: 0.1 + 0.5 * n, 'median latency of decisions went from'),
        ('decision_p50_s', lambda n: float('nan'), 'median latency of decisions went from'),
        ('judged', lambda n: 5, 'no frames were judged'),
    ],
)
def test_what_grows_is_said(column, values, says):
    bounds = Bounds(rss_mb=15.0)
    assert Soak(rows()).complaints(bounds) == []
    (line,) = Soak(rows(**{column: values})).complaints(bounds)
    assert says in line


def test_a_query_without_a_response_is_said():
    assert Soak(rows(), asked=3, answered=2).complaints(BOUNDS) == [
        '3 queries, 2 responses to them'
    ]


def test_one_bad_sample_turns_no_line():
    hours = [n / 3600 for n in range(10)]
    found = trend(hours, [500.0] * 5 + [900.0] + [500.0] * 4)
    assert (found['slope_per_hour'], found['growth']) == (0.0, 0.0)
