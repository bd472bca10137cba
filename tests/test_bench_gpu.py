# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A section of the GPU benchmark that fails costs no other section its figures."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from bench.gpu import Report, ratios_of


def test_a_section_that_fails_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    output = tmp_path / 'gpu.json'
    report = Report(output, budget_minutes=1)

    def runs_out() -> None:
        raise torch.OutOfMemoryError('CUDA out of memory.\nTried to allocate 2 GiB')

    assert report.measure('first', lambda: [{'ms': 1.23456}]) == [{'ms': 1.23456}]
    assert report.measure('second', runs_out) is None
    written = json.loads(output.read_text())
    assert written['failed'] == {
        'second': 'OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB'
    }
    report.measure('third', lambda: {'fps': 3.0})
    written = json.loads(output.read_text())
    assert (written['first'], written['third']) == ([{'ms': 1.235}], {'fps': 3.0})
    assert written['total']['failed'] == 1
    assert not list(tmp_path.glob('.*')), 'half a file was left'


def test_what_the_time_does_not_reach_is_named(tmp_path: Path) -> None:
    report = Report(tmp_path / 'gpu.json', budget_minutes=-1)
    assert report.measure('late', lambda: {'fps': 3.0}) is None
    assert report.failed['late'].startswith('not begun')


def test_ratios_are_of_what_was_measured() -> None:
    live = [
        {'p50_ms': 5.0, 'p99_ms': 6.0, 'capture_to_first_token_ms': 30.0, 'sentence_ms': 120.0}
    ]
    assert ratios_of({}) == {}
    assert 'live_step_vs_published' not in ratios_of({'live': live})
    both = ratios_of({'live': live, 'published': [{'step_p50_ms': 50.0, 'sentence_ms': 900.0}]})
    assert both['live_step_vs_published'] == 10
    assert both['live_p99_ms_at_8k'] == 6


def test_both_sides_are_compared_at_the_same_frames() -> None:
    at_100 = {'frame': 100, 'published_ms': 60.0, 'ours_ms': 6.0, 'chunk_ms_per_frame': 0.5}
    at_600 = {'frame': 600, 'published_ms': 80.0, 'ours_ms': 8.0}
    at_1200 = {'frame': 1200, 'published_ms': 90.0, 'ours_ms': 9.0}
    frames = [at_100, at_600, at_1200]
    assert ratios_of({'frames_bfloat16': frames, 'frames_float32': frames}) == {
        'step_vs_baseline_at_1200': 10,
        'growth_600_to_1200': 1.125,
        'chunk_vs_baseline_at_100_bfloat16': 120,
        'chunk_vs_baseline_at_100_float32': 120,
    }
    assert list(ratios_of({'frames_float32': frames})) == ['chunk_vs_baseline_at_100_float32']
