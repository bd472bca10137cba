# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speed on the CPU, beside the published schedule in the same run.

    python -m bench.cpu [--output OUT.json] [--threads 1]
    python -m bench.cpu --quick                 the same code in seconds, figures of no use

A 125 M-parameter Llama shape with random weights, 10 tokens a frame and the interval. All times
are processor time: other programs on the machine do not count, though they still cost cache and
memory bandwidth. Both sides run with the same allocator settings and threads. Only what is counted
from a capture on is wall time.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from bench import machine
from bench.cpu_agreement import agreement
from bench.cpu_sections import CpuMeasurements
from bench.cpu_shapes import QUICK, REAL, Size
from bench.cpu_steps import (
    CPU,
    POINTS,
    Steps,
    achieved,
    around_cuts,
    chunk_row,
    live_steps,
    packed_products,
    published_steps,
)
from bench.random_models import DAY_FRAMES, make_stream

CHUNKS = ('1', '8', '32', 'auto')


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--quick', action='store_true', help='try the code out, in seconds')
    chosen = parser.parse_args(arguments)
    machine.tune_allocator('bench.cpu')
    torch.set_num_threads(chosen.threads)
    machine.write_result(chosen.output, run(QUICK if chosen.quick else REAL))


def run(size: Size) -> dict[str, Any]:
    """Measure everything."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    result: dict[str, Any] = {
        'machine': machine.describe(CPU),
        'ceilings': machine.ceilings(CPU) | packed_products(),
        **{name: [] for name in ('steps', 'cuts', 'chunks', 'memory')},
        **{name: [] for name in ('live', 'encoder', 'replay', 'streams')},
        'ratios': {},
    }
    for dtype in (torch.float32, torch.bfloat16):
        _measure(dtype, size, result)
    result['agreement'] = agreement(*size.agreement)
    result['total'] = {
        'processor_minutes': (time.process_time() - begun_cpu) / 60,
        'wall_minutes': (time.perf_counter() - begun) / 60,
    }
    return result


def _measure(dtype: torch.dtype, size: Size, result: dict[str, Any]) -> None:
    """Measure one number format, the published schedule first."""
    name = str(dtype).removeprefix('torch.')
    published, bytes_per_frame = published_steps(dtype, size)
    cpu = CpuMeasurements(size, dtype)
    model = cpu.make_model()
    stream = make_stream(model)
    ours = live_steps(model, stream, size)
    for frame, steps in ours.items():
        seconds, context = steps.least
        row = {'format': name, 'frame': frame, 'context': context}
        row |= steps.milliseconds('ours_') | published[frame].milliseconds('published_')
        row['ratio'] = published[frame].least[0] / seconds
        row |= achieved(size.llama, dtype, context, 1, seconds)
        result['steps'].append(row | _shares(row, result['ceilings']))
    if dtype == torch.float32:
        result['memory'] += _memory(stream.decoder.cache.num_bytes, bytes_per_frame)
    phases, cuts = around_cuts(model, stream, size)
    result['cuts'] += _around_cuts(name, ours[600], phases, cuts)
    at_100 = published[100].least[0]
    for chunk in CHUNKS:
        row = {'format': name, 'chunk': chunk, **chunk_row(model, size, chunk)}
        row['ratio'] = at_100 * row['fps']
        result['chunks'].append(row | _shares(row, result['ceilings']))
    result['ratios'] |= _ratios(name, published, ours, result)
    for section in (cpu.live, cpu.encoder, cpu.replay, cpu.streams):
        result[section.__name__] += [{'format': name, **row} for row in section(model)]


def _ratios(
    name: str, published: dict[int, Steps], ours: dict[int, Steps], result: dict[str, Any]
) -> dict[str, float]:
    """The figures that have a goal; those without a number format are float32's."""
    first, last = POINTS[1:]
    found = {
        'step_vs_baseline_at_1200': published[last].least[0] / ours[last].least[0],
        'growth_600_to_1200': ours[last].least[0] / ours[first].least[0],
    }
    grown = [row['growth'] for row in result['cuts'] if row['format'] == name]
    named = {**found, 'growth_600_to_worst': max(grown)}
    named = {f'{key}_{name}': value for key, value in named.items()}
    chunk = result['chunks'][-1]
    named[f'chunk_vs_baseline_at_100_{name}'] = chunk['ratio']
    return (found if name == 'float32' else {}) | named


def _around_cuts(
    name: str, before: Steps, phases: dict[str, Steps], cuts: list[float]
) -> list[dict[str, Any]]:
    """How dear a frame gets between two cuts of the window, and a cut itself."""
    rows = []
    for phase, steps in phases.items():
        seconds, context = steps.least
        row = {'format': name, 'phase': phase, 'context': context, **steps.milliseconds()}
        rows.append(row | {'growth': seconds / before.least[0]})
    rows[-1]['cut_ms'] = statistics.median(cuts) * 1e3
    return rows


def _memory(cache_bytes: int, published_bytes_per_frame: float) -> list[dict[str, float]]:
    return [
        {
            'frames': num_frames,
            'hours': num_frames / 7200,
            'ours_cache_mb': cache_bytes / 1e6,
            'published_cache_mb': published_bytes_per_frame * num_frames / 1e6,
            'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        }
        for num_frames in (600, 1200, DAY_FRAMES)
    ]


def _shares(row: dict[str, Any], ceilings: dict[str, float]) -> dict[str, float]:
    """What a row reaches of a large copy, and of the faster large product in its format."""
    products = [ceilings[f'{how}product_{row["format"]}_gflop_per_s'] for how in ('', 'packed_')]
    return {
        'of_copy': row['gb_per_s'] / ceilings['copy_gb_per_s'],
        'of_product': row['gflop_per_s'] / max(products),
    }


if __name__ == '__main__':
    main()
