# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A day of one stream, as fast as it goes: the bundled model before a rendered camera.

    python -m bench.soak [--hours 24] [--output OUT.json]

One endless episode at 2 frames a second, drawn by another process; a question about every 20 s; a
window that fills and is evicted from again and again; no reset. For every simulated hour: memory
of the process, processor and wall time of a step (a frame decided, and said what is due; other
programs disturb the first less), and how right it was. The first seven minutes fill the window;
their steps and verdicts are not counted. The exit status is 1 when an hour is outside the bounds.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import machine
from training.free_running import Script, Trial, script_of
from training.rendered_world.conversation import Stretch, converse
from training.scoring import between, score
from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.events import NS_PER_S, FrameTokens
from vlo_ros.rendered_world import Episode
from vlo_ros.stream import Stream

SEED, SPLIT = 3, 'new'
FPS = 2
HOUR_S = 3600.0
WARM_UP_S = 420.0
QUESTION_EVERY_S = 20.0
BATCH_FRAMES = 48
DRAWN_AHEAD = 4  # batches
# How far an hour may be off: memory from the first, step times from the median of all hours.
MEMORY_BOUND, P99_BOUND = 0.01, 0.10
# How far the last hour may be below the first: about three standard errors of an hour's count.
QUALITY_BOUNDS = {
    'speak_f1_1s': 0.02,
    'exact': 0.03,
    'silence_kept': 0.02,
    'queries_right': 0.08,
}


def main() -> int:
    """Run, print one table, write JSON; 1 when an hour is outside the bounds."""
    parser = machine.parser(__doc__)
    parser.add_argument('--hours', type=int, default=24, help='simulated')
    arguments = parser.parse_args()
    machine.tune_allocator('bench.soak')
    torch.set_num_threads(1)
    head = machine.describe(torch.device('cpu'))
    begun = time.process_time()
    hours = list(live(arguments.hours))
    result = {
        'machine': head,
        'hours': hours,
        'ratios': ratios(hours),
        'total': {
            'frames': round(arguments.hours * HOUR_S * FPS),
            'cpu_seconds': time.process_time() - begun,
            'load_average_at_end': machine.describe(torch.device('cpu'))['load_average'],
        },
    }
    machine.write_result(arguments.output, result)
    found = complaints(hours)
    print('\n' + ('\n'.join(found) or 'every hour is as the first'))
    return 1 if found else 0


def live(
    num_hours: int, hour_s: float = HOUR_S, warm_up_s: float = WARM_UP_S
) -> Iterator[dict[str, Any]]:
    """Live through hours of the episode on one stream; a row for each.

    Args:
        num_hours: Rows.
        hour_s: Seconds of one, simulated; whole batches of frames.
        warm_up_s: Seconds of the first that are not counted.
    """
    config = load_config(BUNDLED)
    model = load_model(config.model)
    num_frames = round(hour_s * FPS)
    stream = Stream(model, config.stream)
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        pictures = _drawn_ahead(pool, num_hours * num_frames, model.tower.resolution)
        for hour in range(num_hours):
            script = pool.submit(_script, hour * hour_s, num_frames).result()
            num_evictions = stream.num_evictions
            # Of what was noted about an hour nothing is kept but this: memory is being watched.
            scores, times = _scored(
                model, stream, script, pictures, hour * num_frames, num_frames,
                0.0 if hour else warm_up_s, pool,
            )  # fmt: skip
            yield {
                'hour': hour + 1,
                'rss_mb': _resident_bytes() / 1e6,
                **times,
                **{name: scores[name] for name in QUALITY_BOUNDS},
                'narrations': scores['num_narrations'],
                'queries': scores['num_queries'],
                'evictions': stream.num_evictions - num_evictions,
                'dropped': stream.num_dropped,
            }


def _scored(
    model: VloModel,
    stream: Stream,
    script: Script,
    pictures: Iterator[np.ndarray],
    first: int,
    num_frames: int,
    uncounted_s: float,
    pool: ProcessPoolExecutor,
) -> tuple[dict[str, float], dict[str, float]]:
    """Live through one hour; its scores and times without its first `uncounted_s`."""
    trial, steps = _hour(model, stream, script, pictures, first, num_frames)
    heard = between(trial.all_of(num_frames), uncounted_s, num_frames / FPS)
    counted = steps[round(uncounted_s * FPS) :]
    times = {
        **machine.percentiles([cpu for cpu, _ in counted]),
        'wall_p99_ms': machine.percentiles([wall for _, wall in counted])['p99_ms'],
    }
    # In the other process: matching sentences takes memory of its own.
    return pool.submit(score, [heard]).result(), times


def _hour(
    model: VloModel,
    stream: Stream,
    script: Script,
    pictures: Iterator[np.ndarray],
    first: int,
    num_frames: int,
) -> tuple[Trial, list[tuple[float, float]]]:
    """Show and ask what one script holds; also each step's processor and wall time, s."""
    trial, steps = Trial(script, FPS), []
    for frame in range(num_frames):
        if frame % BATCH_FRAMES == 0:
            pixels_NCSS = torch.from_numpy(next(pictures)).permute(0, 3, 1, 2).contiguous()
            tokens_NFD = model.encode_pixels(pixels_NCSS)
        index = first + frame
        stamp_ns = index * NS_PER_S // FPS
        trial.ask(stream, frame, stamp_ns)
        # Of this thread alone: pictures arrive on another.
        begun, begun_wall = time.thread_time(), time.perf_counter()
        stream.put_frame(FrameTokens(stamp_ns, index, tokens_NFD[frame % BATCH_FRAMES]))
        outcomes = list(stream.advance())
        steps.append((time.thread_time() - begun, time.perf_counter() - begun_wall))
        for outcome in outcomes:
            trial.take(outcome, frame, frame / FPS)
    return trial, steps


def ratios(hours: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last hour over the first, and the hours that are farthest off."""
    first, last = hours[0], hours[-1]
    middle = _middle_p99(hours)
    return {
        **{
            f'{name}_last_to_first_hour': last[name] / first[name]
            for name in ('rss_mb', 'p50_ms', 'p99_ms', *QUALITY_BOUNDS)
        },
        'rss_mb_farthest_to_first_hour': _farthest(hours, 'rss_mb', first['rss_mb']),
        'p99_ms_farthest_to_middle_hour': _farthest(hours, 'p99_ms', middle),
    }


def complaints(hours: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each hour that is outside the bounds."""
    first, last, middle = hours[0], hours[-1], _middle_p99(hours)
    found = []
    for hour in hours:
        name = f'hour {hour["hour"]}'
        if abs(hour['rss_mb'] / first['rss_mb'] - 1) > MEMORY_BOUND:
            found.append(f'{name}: {hour["rss_mb"]:.1f} MB, {first["rss_mb"]:.1f} in the first')
        if abs(hour['p99_ms'] / middle - 1) > P99_BOUND:
            found.append(f'{name}: p99 {hour["p99_ms"]:.2f} ms, {middle:.2f} in the middle hour')
        if hour['dropped']:
            found.append(f'{name}: {hour["dropped"]} frames dropped')
    for name, bound in QUALITY_BOUNDS.items():
        if last[name] < first[name] - bound:
            went = f'{first[name]:.3f} in the first hour, {last[name]:.3f} in the last'
            found.append(f'{name}: {went}')
    return found


def _middle_p99(hours: Sequence[Mapping[str, Any]]) -> float:
    return statistics.median(hour['p99_ms'] for hour in hours)


def _farthest(hours: Sequence[Mapping[str, Any]], name: str, usual: float) -> float:
    return max((hour[name] / usual for hour in hours), key=lambda ratio: abs(ratio - 1))


# -- in the other process ----------------------------------------------------------------------


@cache
def _episode() -> Episode:
    return Episode(SEED, SPLIT)


def _script(start_s: float, num_frames: int) -> Script:
    """What is to be said and asked from a moment of the episode on."""
    rng = np.random.default_rng((SEED, round(start_s)))
    stretch = Stretch(start_s, num_frames, FPS)
    return script_of(converse(_episode(), stretch, rng, QUESTION_EVERY_S), FPS)


def _draw(first: int, size: int) -> np.ndarray:
    """A batch of pictures from frame `first` of the episode on: (N, S, S, 3) uint8."""
    rows = range(first, first + BATCH_FRAMES)
    return np.stack([_episode().frame(index / FPS, size) for index in rows])


def _drawn_ahead(pool: ProcessPoolExecutor, num_frames: int, size: int) -> Iterator[np.ndarray]:
    """Every batch, a few of them drawn before they are needed."""
    waiting: deque[Future[np.ndarray]] = deque()
    for first in range(0, num_frames, BATCH_FRAMES):
        waiting.append(pool.submit(_draw, first, size))
        if len(waiting) > DRAWN_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _resident_bytes() -> int:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGESIZE')


if __name__ == '__main__':
    sys.exit(main())
