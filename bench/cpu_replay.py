# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether `vlo replay` should encode on a thread of its own on the CPU.

    python -m bench.cpu_replay [--dtype float32] [--rounds 3] [--output OUT.json]

The bundled model on 100 s of the rendered world, drawn beforehand. Ways take turns, so that what
else the machine does falls on all of them alike; frames per second of wall time, the best round
and the middle one, and processor time a frame.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any
from unittest import mock

import torch

from bench import machine
from vlo_ros import replay as replay_module
from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.config import BUNDLED, VloConfig, load_config
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources.opening import RENDERED, open_source
from vlo_ros.threads import use_threads

CPU = torch.device('cpu')
SEED = 1000
NUM_FRAMES = 200


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args(given)
    machine.tune_allocator('bench.cpu_replay')
    head = machine.describe(CPU)
    config = load_config(BUNDLED, device='cpu', dtype=arguments.dtype)
    model = load_model(config.model)
    recording = open_source(f'{RENDERED}{SEED}').frames(Sampler(config.stream.frame_fps))
    frames = list(islice(recording, NUM_FRAMES))
    cores = os.cpu_count() or 1
    half = max(1, cores // 2)
    # Whether the encoder has a thread of its own; threads of encoder and decoder.
    ways = [(False, cores, cores), (False, 1, 1), (True, half, cores - half or 1)]
    rounds: dict[tuple[bool, int, int], list[tuple[float, float]]] = {way: [] for way in ways}
    _play(model, config, frames, ways[0])  # kernels are made once
    for _ in range(arguments.rounds):
        for way, found in rounds.items():
            found.append(_play(model, config, frames, way))
    rows = [
        {
            'order': 'ahead' if ahead else 'in turn',
            'encode_threads': encode,
            'decode_threads': decode,
            'fps_best': max(NUM_FRAMES / wall for wall, _ in found),
            'fps_median': NUM_FRAMES / statistics.median(wall for wall, _ in found),
            'cpu_ms_per_frame': min(cpu for _, cpu in found) / NUM_FRAMES * 1e3,
        }
        for (ahead, encode, decode), found in rounds.items()
    ]
    machine.write_result(arguments.output, {'machine': head, 'replay': rows})


def _play(
    model: VloModel, config: VloConfig, frames: list[Frame], way: tuple[bool, int, int]
) -> tuple[float, float]:
    """Wall and processor seconds of one replay."""
    ahead, encode_threads, decode_threads = way
    encode_pixels = VloModel.encode_pixels

    def encode(model: VloModel, pixels_NCSS: torch.Tensor) -> Any:
        use_threads(encode_threads)
        return encode_pixels(model, pixels_NCSS)

    use_threads(decode_threads)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    with (
        mock.patch.object(replay_module, '_encodes_ahead', lambda model: ahead),
        mock.patch.object(VloModel, 'encode_pixels', encode),
    ):
        deque(replay_module.replay(frames, [], model, config.stream), maxlen=0)
    return time.perf_counter() - begun, time.process_time() - begun_cpu


if __name__ == '__main__':
    main()
