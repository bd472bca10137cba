# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speed on the CPU against the published schedule, in one run.

    python -m bench.cpu [--output OUT.json] [--threads 1]

A 125 M-parameter Llama shape with random weights, 10 tokens a frame and the interval. All times
are processor time: other programs on the machine do not count, though they still cost cache and
memory bandwidth. Both sides run with the same allocator settings and threads.
"""

from __future__ import annotations

import resource
import statistics
from functools import partial
from typing import Any

import torch

from bench import machine
from bench.baseline import PublishedLoop
from bench.random_models import (
    DAY_FRAMES,
    LLAMA_125M,
    TOKENS_PER_FRAME,
    add_lora,
    filling,
    judge,
    make_frames,
    make_llama,
    make_model,
    make_stream,
    speaking_at,
)
from vlo_ros.checkpoint import VloModel

CPU = torch.device('cpu')
LORA_RANK = 24
POINTS = (100, 600, 1200)  # frames
MEASURED_FRAMES = 15  # up to each point; ratios are of the least, tables name the median too
CHUNK_FRAMES = 32


def main() -> None:
    """Measure, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--threads', type=int, default=1)
    arguments = parser.parse_args()
    machine.tune_allocator('bench.cpu')
    torch.set_num_threads(arguments.threads)
    result: dict[str, Any] = {
        'machine': machine.describe(CPU),
        'ceilings': machine.ceilings(CPU),
        'steps': [],
        'chunks': [],
        'memory': [],
        'ratios': {},
    }
    for dtype in (torch.float32, torch.bfloat16):
        _measure(dtype, result)
    machine.write_result(arguments.output, result)


def _measure(dtype: torch.dtype, result: dict[str, Any]) -> None:
    name = str(dtype).removeprefix('torch.')
    published = _published(dtype)
    model = make_model(make_llama(LLAMA_125M, dtype, CPU))
    ours, cache_bytes = _steps(model)
    for num_frames, seconds in ours.items():
        row = {'format': name, 'frame': num_frames, **_milliseconds('ours', seconds)}
        row |= _milliseconds('published', published['seconds'][num_frames])
        row['ratio'] = min(published['seconds'][num_frames]) / min(seconds)
        row |= _achieved(dtype, num_frames, min(seconds))
        result['steps'].append(row)
    at_100 = min(published['seconds'][100])
    chunks = {chunk: _chunk_seconds(model, chunk) for chunk in ('1', '8', '32', 'auto')}
    for chunk, seconds in chunks.items():
        result['chunks'].append(
            {
                'format': name,
                'chunk': chunk,
                'ms_per_frame': seconds * 1e3,
                'fps': 1 / seconds,
                'ratio': at_100 / seconds,
            }
        )
    ratios = result['ratios']
    if dtype == torch.float32:
        ratios['step_vs_baseline_at_1200'] = min(published['seconds'][1200]) / min(ours[1200])
        ratios['growth_600_to_1200'] = min(ours[1200]) / min(ours[600])
        for num_frames in (600, 1200, DAY_FRAMES):
            grown = published['bytes_per_frame'] * num_frames
            result['memory'].append(
                {
                    'frames': num_frames,
                    'hours': num_frames / 7200,
                    'ours_cache_mb': cache_bytes / 1e6,
                    'published_cache_mb': grown / 1e6,
                    'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                }
            )
    ratios[f'step_vs_baseline_at_1200_{name}'] = min(published['seconds'][1200]) / min(ours[1200])
    ratios[f'growth_600_to_1200_{name}'] = min(ours[1200]) / min(ours[600])
    ratios[f'chunk_vs_baseline_at_100_{name}'] = at_100 / chunks['auto']


def _published(dtype: torch.dtype) -> dict[str, Any]:
    """Seconds per frame of the published schedule near each point, and bytes kept per frame."""
    model = add_lora(make_llama(LLAMA_125M, dtype, CPU), LORA_RANK)
    tokens_FD = torch.randn(10, LLAMA_125M.hidden_size).to(dtype) * 0.02
    loop = PublishedLoop(model, interval_id=1)
    seconds = {}
    for num_frames in POINTS:
        loop.fill(num_frames - MEASURED_FRAMES, TOKENS_PER_FRAME)
        seconds[num_frames] = [
            machine.cpu_seconds(lambda: loop.judge(tokens_FD)) for _ in range(MEASURED_FRAMES)
        ]
    return {'seconds': seconds, 'bytes_per_frame': loop.cache_bytes / loop.num_frames}


def _steps(model: VloModel) -> tuple[dict[int, list[float]], int]:
    """Seconds per live frame near each point of one stream with the default window."""
    stream = make_stream(model)
    frames = make_frames(model, 0, max(POINTS))
    seconds = {}
    for num_frames in POINTS:
        with filling():
            judge(stream, frames[stream.num_judged : num_frames - MEASURED_FRAMES])
        with speaking_at(()):
            seconds[num_frames] = [
                machine.cpu_seconds(partial(judge, stream, [frame]))
                for frame in frames[num_frames - MEASURED_FRAMES : num_frames]
            ]
    return seconds, stream.decoder.cache.num_bytes


def _chunk_seconds(model: VloModel, chunk: str) -> float:
    """Seconds per frame of a silent stream around frame 100, replayed with `chunk`."""
    stream = make_stream(model, chunk=chunk)
    first, last = 100 - CHUNK_FRAMES, 100 + CHUNK_FRAMES
    frames = make_frames(model, 0, last)
    rounds = []
    with filling():
        judge(stream, frames[:first])
    with speaking_at(()):
        for start in range(first, last, CHUNK_FRAMES):
            part = frames[start : start + CHUNK_FRAMES]
            rounds.append(machine.cpu_seconds(partial(judge, stream, part)))
    return statistics.mean(rounds) / CHUNK_FRAMES


def _milliseconds(side: str, seconds: list[float]) -> dict[str, float]:
    return {
        f'{side}_min_ms': min(seconds) * 1e3,
        f'{side}_median_ms': statistics.median(seconds) * 1e3,
    }


def _achieved(dtype: torch.dtype, num_frames: int, seconds: float) -> dict[str, float]:
    """Least traffic and arithmetic of our step, over the time it took."""
    config = LLAMA_125M
    head_dim = config.hidden_size // config.num_attention_heads
    kv_dim = config.num_key_value_heads * head_dim
    layer = config.hidden_size * (
        2 * config.hidden_size + 2 * kv_dim + 3 * config.intermediate_size
    )
    body, head = config.num_hidden_layers * layer, config.hidden_size * config.vocab_size
    context = min(num_frames * TOKENS_PER_FRAME, config.max_position_embeddings)
    cache = 2 * config.num_hidden_layers * kv_dim * context
    scores = 4 * config.num_hidden_layers * config.hidden_size * context * TOKENS_PER_FRAME
    return {
        'gb_per_s': (body + head + cache) * dtype.itemsize / seconds / 1e9,
        'gflop_per_s': (2 * body * TOKENS_PER_FRAME + 2 * head + scores) / seconds / 1e9,
    }


if __name__ == '__main__':
    main()
