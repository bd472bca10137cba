# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CPU benchmark runs from end to end and writes every figure that is promised."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import cpu, cpu_replay, machine
from bench.cpu_shapes import QUICK
from bench.cpu_steps import achieved
from bench.random_models import LLAMA_125M

FORMATS = ('float32', 'bfloat16')
# Table: what names a row, and its figures.
TABLES = {
    'steps': (
        ('format', 'frame'),
        ('context', 'ours_min_ms', 'ours_median_ms', 'published_min_ms', 'published_median_ms',
         'ratio', 'gb_per_s', 'gflop_per_s', 'of_copy', 'of_product'),
    ),
    'cuts': (('format', 'phase'), ('context', 'min_ms', 'median_ms', 'growth')),
    'chunks': (
        ('format', 'chunk'),
        ('frames_per_forward', 'ms_per_frame', 'fps', 'ratio', 'gb_per_s', 'gflop_per_s',
         'of_copy', 'of_product'),
    ),
    'memory': (('frames',), ('hours', 'ours_cache_mb', 'published_cache_mb', 'peak_rss_mb')),
    'live': (
        ('format', 'context'),
        ('p50_ms', 'p95_ms', 'p99_ms', 'fps', 'capture_to_decision_ms',
         'capture_to_first_token_ms', 'sentence_ms', 'gb_per_s'),
    ),
    'encoder': (('format', 'batch'), ('ms', 'fps')),
    'replay': (('format', 'speaking', 'chunk'), ('language_fps',)),
    'streams': (
        ('format', 'streams'), ('round_ms', 'total_fps', 'streams_at_2_fps', 'streams_at_10_fps'),
    ),
    'agreement': (
        ('what',), ('frames', 'equal_verdicts', 'max_p_silence_difference', 'equal_responses'),
    ),
}  # fmt: skip
RATIOS = (
    'step_vs_baseline_at_1200',
    'growth_600_to_1200',
    'chunk_vs_baseline_at_100_float32',
    'chunk_vs_baseline_at_100_bfloat16',
    'growth_600_to_worst_float32',
    'growth_600_to_worst_bfloat16',
)


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes."""
    output = tmp_path_factory.mktemp('bench') / 'cpu.json'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, 'tune_allocator', lambda module: None)  # it starts Python anew
        cpu.main(['--quick', '--threads', '1', '--output', str(output)])
    return json.loads(output.read_text())


@pytest.mark.parametrize('name', TABLES)
def test_every_table_is_there_with_all_its_figures(written: dict[str, Any], name: str) -> None:
    named_by, figures = TABLES[name]
    rows = written[name]
    assert len({tuple(row[key] for key in named_by) for row in rows}) == len(rows) > 0
    for row in rows:
        for figure in figures:
            assert math.isfinite(row[figure]) and row[figure] >= 0, (figure, row)
    if 'format' in named_by:
        assert {row['format'] for row in rows} == set(FORMATS)


def test_the_head_names_device_versions_and_commit(written: dict[str, Any]) -> None:
    head = written['machine']
    assert head['torch'] == torch.__version__
    assert all(head[name] for name in ('device', 'commit', 'date', 'transformers', 'load_average'))
    assert written['total']['processor_minutes'] > 0
    assert all(value > 0 for value in written['ceilings'].values())


@pytest.mark.parametrize('name', RATIOS)
def test_the_ratios_with_a_goal_are_there(written: dict[str, Any], name: str) -> None:
    assert written['ratios'][name] > 0


def test_every_rate_is_replayed_in_every_chunk_and_once_end_to_end(
    written: dict[str, Any],
) -> None:
    for name in FORMATS:
        rows = [row for row in written['replay'] if row['format'] == name]
        assert [(row['speaking'], row['chunk']) for row in rows] == [
            (rate, chunk) for rate in ('0', '1:100', '1:20') for chunk in ('1', '8', '32', 'auto')
        ]
        whole = [row for row in rows if 'end_to_end_fps' in row]
        assert len(whole) == 3
        assert all(row['end_to_end_fps'] > 0 for row in whole)


def test_contexts_are_what_the_cache_holds(written: dict[str, Any]) -> None:
    capacity = QUICK.llama.max_position_embeddings
    for row in written['steps']:
        assert row['context'] < capacity
    cuts = {(row['format'], row['phase']): row for row in written['cuts']}
    for name in FORMATS:
        before, behind = cuts[name, 'fullest'], cuts[name, 'behind a cut']
        assert behind['context'] < before['context'] <= capacity
        assert behind['cut_ms'] > 0
        grown = max(before['growth'], behind['growth'])
        assert written['ratios'][f'growth_600_to_worst_{name}'] == pytest.approx(grown, rel=1e-3)


def test_chunks_read_several_frames_in_a_forward(written: dict[str, Any]) -> None:
    for row in written['chunks']:
        if row['chunk'] == '1':
            assert row['frames_per_forward'] == 1
        else:  # the tiny window is cut now and then, and a chunk with it
            most = 32 if row['chunk'] == 'auto' else int(row['chunk'])
            assert 2 <= row['frames_per_forward'] <= most


def test_float32_decides_alike_in_chunks(written: dict[str, Any]) -> None:
    (row,) = (row for row in written['agreement'] if row['what'].count('float32') == 2)
    assert row['equal_verdicts'] == row['equal_responses'] == 1
    assert row['max_p_silence_difference'] < 1e-4


def test_achieved_traffic_and_arithmetic() -> None:
    """12 layers of 768 with 4 of 12 heads for keys and values, worked out by hand."""
    body = 12 * (2 * 768 * 768 + 2 * 768 * 256 + 3 * 768 * 2048)
    head, cache = 768 * 32_000, 2 * 12 * 256 * 7000
    found = achieved(LLAMA_125M, torch.bfloat16, 7000, 1, 0.5)
    assert found['gb_per_s'] == pytest.approx((body + head + cache) * 2 / 0.5 / 1e9)
    flop = 2 * body * 11 + 2 * head + 4 * 12 * 768 * 7000 * 11
    assert found['gflop_per_s'] == pytest.approx(flop / 0.5 / 1e9)


def test_the_orders_of_replay_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, 'tune_allocator', lambda module: None)
    monkeypatch.setattr(cpu_replay, 'NUM_FRAMES', 3)
    output, num_threads = tmp_path / 'replay.json', torch.get_num_threads()
    try:
        cpu_replay.main(['--rounds', '1', '--output', str(output)])
    finally:
        torch.set_num_threads(num_threads)
    rows = json.loads(output.read_text())['replay']
    assert {row['order'] for row in rows} == {'in turn', 'ahead'}
    assert all(row['fps_best'] >= row['fps_median'] > 0 for row in rows)
