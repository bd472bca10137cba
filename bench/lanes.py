# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many threads the encoder and the decoder should have when both work at once on the CPU.

    python -m bench.lanes [--rounds 3] [--output OUT.json]

One thread encodes, one judges, as in the node; each has a pool of its own, whose size is set on
it. A vision tower and a language model of about equal cost. Ways take turns, so that what else the
machine does falls on all of them alike; frames per second of wall time, the best round and the
middle one, and processor time a frame.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from transformers import SiglipVisionConfig

from bench import machine
from bench.random_models import LLAMA_125M, judge, make_llama, make_model, make_stream, speaking_at
from vlo_ros.checkpoint import VloModel
from vlo_ros.events import NS_PER_S, Frame

CPU = torch.device('cpu')
NUM_FRAMES = 24
TOWER = SiglipVisionConfig(
    hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=6,
    image_size=160, patch_size=16,
)  # fmt: skip


def main() -> None:
    """Measure, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    machine.tune_allocator('bench.lanes')
    cores = os.cpu_count() or 1
    half = max(1, cores // 2)
    ways = list(dict.fromkeys([(cores, cores), (half, cores - half or 1), (cores, 1), (1, cores)]))
    model = make_model(make_llama(LLAMA_125M, torch.float32, CPU), TOWER)
    with speaking_at(()):
        _play(model, 1, 1)  # kernels are made once
        rounds = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way in ways:
                rounds[way].append(_play(model, *way))
    rows: list[dict[str, Any]] = []
    for (encode, decode), found in rounds.items():
        rows.append(
            {
                'encode_threads': encode,
                'decode_threads': decode,
                'fps_best': max(NUM_FRAMES / wall for wall, _ in found),
                'fps_median': NUM_FRAMES / statistics.median(wall for wall, _ in found),
                'cpu_ms_per_frame': min(cpu for _, cpu in found) / NUM_FRAMES * 1e3,
            }
        )
    machine.write_result(arguments.output, {'machine': machine.describe(CPU), 'lanes': rows})


def _play(model: VloModel, encode_threads: int, decode_threads: int) -> tuple[float, float]:
    """Wall and processor seconds until all frames are judged."""
    stream = make_stream(model, window_tokens=1024)
    size = TOWER.image_size
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)

    def encode() -> None:
        torch.set_num_threads(encode_threads)
        for index in range(NUM_FRAMES):
            frame = Frame(index * NS_PER_S // 2, index, pixels)
            (tokens,) = model.encode([frame])
            stream.put_frame(tokens)

    def decode() -> None:
        torch.set_num_threads(decode_threads)
        while stream.num_judged < NUM_FRAMES and not (encoding.done() and encoding.exception()):
            if stream.backlog_frames:
                judge(stream, [])
            else:
                time.sleep(0.001)

    begun, begun_cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        encoding = one.submit(encode)
        other.submit(decode).result()
        encoding.result()
    return time.perf_counter() - begun, time.process_time() - begun_cpu


if __name__ == '__main__':
    main()
