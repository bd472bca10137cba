# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A day of one stream, as fast as it goes, on the tiny model.

    python -m bench.soak [--hours 24] [--output OUT.json]

2 frames a second, bursts of 8, a query every ten minutes, a window that fills and is evicted
again and again, no reset. Frames lean towards silence or speech: verdicts are right or wrong.
For every simulated hour: memory of the process, processor and wall time per burst (other programs
disturb the first less), share of right verdicts.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.random_models import (
    FRAME_NUM_TOKENS,
    LLAMA_TINY,
    make_llama,
    make_model,
    make_stream,
    make_template,
)
from vlo_ros.events import NS_PER_S, Decision, FrameTokens, Query, Response, Verdict
from vlo_ros.stream import Stream

CPU = torch.device('cpu')
FPS = 2
FRAMES_PER_HOUR = 3600 * FPS
BURST_FRAMES = 8  # that wait when the stream looks
QUERY_EVERY = 600 * FPS
SPEAK_EVERY = 20 * FPS
BANK = 64
LEAN = 20.0


def main() -> None:
    """Run, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--hours', type=int, default=24, help='simulated')
    arguments = parser.parse_args()
    machine.tune_allocator('bench.soak')
    torch.set_num_threads(1)
    head = machine.describe(CPU)
    start = time.process_time()
    hours = _hours(arguments.hours)
    first, last = hours[0], hours[-1]
    result = {
        'machine': head,
        'hours': hours,
        'ratios': {
            'memory_last_to_first_hour': last['rss_mb'] / first['rss_mb'],
            **{
                f'{name}_last_to_first_hour': last[name] / first[name]
                for name in ('p50_ms', 'p99_ms', 'wall_p50_ms', 'wall_p99_ms')
            },
            'right_share_last_to_first_hour': last['right_share'] / first['right_share'],
        },
        'total': {
            'frames': arguments.hours * FRAMES_PER_HOUR,
            'cpu_seconds': time.process_time() - start,
            'load_average_at_end': machine.describe(CPU)['load_average'],
        },
    }
    machine.write_result(arguments.output, result)


def _hours(count: int) -> list[dict[str, Any]]:
    llama = make_llama(LLAMA_TINY, torch.float32, CPU)
    template = make_template()
    # Random weights are sure of nothing: make these three sure enough to be chosen.
    sure = [template.silence_id, template.stream_end_id, template.eos_id]
    llama.lm_head.weight = torch.nn.Parameter(
        torch.randn_like(llama.lm_head.weight) * 0.2, requires_grad=False
    )
    llama.lm_head.weight[sure] *= 3
    head_KD = llama.lm_head.weight.clone()
    model = make_model(llama)
    generator = torch.Generator().manual_seed(2)
    bank_NFD = torch.randn(BANK, FRAME_NUM_TOKENS, LLAMA_TINY.hidden_size, generator=generator)
    banks = {}
    for speaks, token_id in ((False, sure[0]), (True, sure[1])):
        banks[speaks] = bank_NFD.clone()
        banks[speaks][:, -1] += LEAN * head_KD[token_id] / head_KD[token_id].norm()
    stream = make_stream(model, max_new_tokens=6, silence_threshold=0.5)
    # The first hour fills the window and the caches of the libraries; it is not counted.
    return [_hour(stream, banks, hour) for hour in range(count + 1)][1:]


def _hour(stream: Stream, banks: dict[bool, torch.Tensor], hour: int) -> dict[str, Any]:
    seconds: list[float] = []
    wall: list[float] = []
    num_evictions, num_responses, num_right, num_judged = stream.num_evictions, 0, 0, 0
    first = hour * FRAMES_PER_HOUR
    for start in range(first, first + FRAMES_PER_HOUR, BURST_FRAMES):
        for index in range(start, start + BURST_FRAMES):
            tokens_FD = banks[index % SPEAK_EVERY == 0][index % BANK]
            stream.put_frame(FrameTokens(index * NS_PER_S // FPS, index, tokens_FD))
        if start % QUERY_EVERY == 0:
            stream.put_query(Query(start * NS_PER_S // FPS + 1, 'what is this?'))
        begun, begun_wall = time.process_time(), time.perf_counter()
        for outcome in stream.advance():
            num_responses += isinstance(outcome, Response)
            if isinstance(outcome, Decision) and outcome.verdict is not Verdict.QUERY:
                num_judged += 1
                should_speak = outcome.index % SPEAK_EVERY == 0
                num_right += should_speak == (outcome.verdict is Verdict.RESPOND)
        seconds.append(time.process_time() - begun)
        wall.append(time.perf_counter() - begun_wall)
    return {
        'hour': hour,
        'rss_mb': _resident_bytes() / 1e6,
        **machine.percentiles(seconds),
        **{f'wall_{name}': value for name, value in machine.percentiles(wall).items()},
        'right_share': num_right / num_judged,
        'responses': num_responses,
        'evictions': stream.num_evictions - num_evictions,
        'dropped': stream.num_dropped,
    }


def _resident_bytes() -> int:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096


if __name__ == '__main__':
    main()
