# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live frames and chunks on the CPU beside the published schedule, in processor time."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from unittest import mock

import torch
from torch import nn
from transformers import LlamaConfig

from bench import machine
from bench.baseline import PublishedLoop
from bench.cpu_shapes import Size
from bench.random_models import (
    TOKENS_PER_FRAME,
    add_lora,
    filling,
    judge,
    make_frames,
    make_llama,
    make_stream,
    speaking_at,
)
from vlo_ros import onednn
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import VloModel
from vlo_ros.language_model import LanguageModel
from vlo_ros.stream import Stream

CPU = torch.device('cpu')
LORA_RANK = 24
POINTS = (100, 600, 1200)  # frames
NUM_CUTS = 3
CHUNK_FRAMES = 32


@dataclass
class Steps:
    """Seconds of live frames, and the positions in the cache behind each."""

    seconds: list[float] = field(default_factory=list)
    contexts: list[int] = field(default_factory=list)

    @property
    def least(self) -> tuple[float, int]:
        """The fastest frame, and its context."""
        return min(zip(self.seconds, self.contexts, strict=True))

    def milliseconds(self, side: str = '') -> dict[str, float]:
        """Columns of a table."""
        return {
            f'{side}min_ms': min(self.seconds) * 1e3,
            f'{side}median_ms': statistics.median(self.seconds) * 1e3,
        }


def published_steps(dtype: torch.dtype, size: Size) -> tuple[dict[int, Steps], float]:
    """The published schedule: frames near each point, and bytes kept per frame."""
    model = add_lora(make_llama(size.llama, dtype, CPU), LORA_RANK)
    tokens_FD = torch.randn(10, size.llama.hidden_size).to(dtype) * 0.02
    loop = PublishedLoop(model, interval_id=1)
    points = {}
    for num_frames in POINTS:
        loop.fill(num_frames - size.measured_frames, TOKENS_PER_FRAME)
        points[num_frames] = steps = Steps()
        for _ in range(size.measured_frames):
            steps.seconds.append(machine.cpu_seconds(lambda: loop.judge(tokens_FD)))
            steps.contexts.append(loop.num_frames * TOKENS_PER_FRAME)
    return points, loop.cache_bytes / loop.num_frames


def live_steps(model: VloModel, stream: Stream, size: Size) -> dict[int, Steps]:
    """Frames near each point of a `stream` that begins."""
    points = {}
    for num_frames in POINTS:
        _fill(model, stream, num_frames - size.measured_frames - stream.num_judged)
        points[num_frames] = _live(model, stream, size.measured_frames)
    return points


def around_cuts(
    model: VloModel, stream: Stream, size: Size
) -> tuple[dict[str, Steps], list[float]]:
    """Frames when the window is as full as it gets and right behind the cut; seconds of cuts."""
    window, phases, cuts = stream.decoder.window, {'fullest': Steps(), 'behind a cut': Steps()}, []
    for _ in range(NUM_CUTS):
        room = window.num_fitting(TOKENS_PER_FRAME, TOKENS_PER_FRAME)
        _fill(model, stream, room - size.measured_frames)
        _live(model, stream, size.measured_frames, phases['fullest'])
        assert not window.fits_frame(TOKENS_PER_FRAME)
        cuts.append(machine.cpu_seconds(partial(window.evict, TOKENS_PER_FRAME)))
        _live(model, stream, size.measured_frames, phases['behind a cut'])
    return phases, cuts


def chunk_row(model: VloModel, size: Size, chunk: str) -> dict[str, float]:
    """A silent stream around frame 100, replayed with `chunk`."""
    stream = make_stream(model, chunk=chunk)
    rounds = []
    _fill(model, stream, 100 - CHUNK_FRAMES)
    start = stream.decoder.cache.length
    with speaking_at(()), _counted_forwards() as counted:
        for _ in range(2):
            frames = make_frames(model, stream.num_judged, CHUNK_FRAMES)
            rounds.append(machine.cpu_seconds(partial(judge, stream, frames)))
    seconds = statistics.mean(rounds) / CHUNK_FRAMES
    per_forward = 2 * CHUNK_FRAMES / len(counted)
    context = (start + stream.decoder.cache.length) // 2
    return {
        'frames_per_forward': per_forward,
        'ms_per_frame': seconds * 1e3,
        'fps': 1 / seconds,
        **achieved(size.llama, model.dtype, context, per_forward, seconds * per_forward),
    }


def packed_products() -> dict[str, float]:
    """What oneDNN makes of a large product; PyTorch alone takes MKL in float32."""
    side, found = 1536, {}
    for dtype in (torch.float32, torch.bfloat16):
        layers = nn.Sequential(nn.Linear(side, side, bias=False, dtype=dtype))
        onednn.pack_linears(layers)
        inputs = torch.randn(side, side).to(dtype)
        with torch.inference_mode():
            seconds = machine.least_of(machine.cpu_seconds, partial(layers, inputs))
        name = str(dtype).removeprefix('torch.')
        found[f'packed_product_{name}_gflop_per_s'] = 2 * side**3 / seconds / 1e9
    return found


def achieved(
    config: LlamaConfig, dtype: torch.dtype, context: int, num_frames: float, seconds: float
) -> dict[str, float]:
    """Least traffic and arithmetic of a forward of `num_frames`, over the time it took."""
    head_dim = config.hidden_size // config.num_attention_heads
    kv_dim = config.num_key_value_heads * head_dim
    layer = config.hidden_size * (
        2 * config.hidden_size + 2 * kv_dim + 3 * config.intermediate_size
    )
    body, head = config.num_hidden_layers * layer, config.hidden_size * config.vocab_size
    cache = 2 * config.num_hidden_layers * kv_dim * context
    num_tokens = num_frames * TOKENS_PER_FRAME
    scores = 4 * config.num_hidden_layers * config.hidden_size * context * num_tokens
    return {
        'gb_per_s': (body + head + cache) * dtype.itemsize / seconds / 1e9,
        'gflop_per_s': (2 * body * num_tokens + 2 * head * num_frames + scores) / seconds / 1e9,
    }


def _fill(model: VloModel, stream: Stream, num_frames: int) -> None:
    with filling():
        judge(stream, make_frames(model, stream.num_judged, num_frames))


def _live(model: VloModel, stream: Stream, num_frames: int, steps: Steps | None = None) -> Steps:
    """Judge silent frames one by one."""
    steps = steps or Steps()
    with speaking_at(()):
        for frame in make_frames(model, stream.num_judged, num_frames):
            steps.seconds.append(machine.cpu_seconds(partial(judge, stream, [frame])))
            steps.contexts.append(stream.decoder.cache.length)
    return steps


@contextmanager
def _counted_forwards() -> Iterator[list[int]]:
    """Frames read in each forward of the language model."""
    found: list[int] = []
    forward = LanguageModel.forward

    def counting(language: LanguageModel, segments: list[Segment]) -> list[torch.Tensor]:
        found.append(sum(len(segment.read_rows) for segment in segments))
        return forward(language, segments)

    with mock.patch.object(LanguageModel, 'forward', counting):
        yield found
