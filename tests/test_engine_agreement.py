# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In bfloat16 products of another shape round otherwise: how far decisions agree all the same.

Two logs are compared up to where they part; behind that they are two streams. The floors are set
below what docs/engine.md reports.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest
import torch

from tests.chance import seed_of_chance
from tests.random_streams import TinyModel, log_of, play, random_stream, tiny_model
from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.events import NS_PER_S, FrameTokens
from vlo_ros.rendered_world import Episode
from vlo_ros.stream import Stream

NUM_STREAMS = {'few': 20, 'all': 300}  # of a random model, of each variant
NUM_EPISODES = {'few': 1, 'all': 20}  # of the bundled model, in the rendered world
EPISODE_FRAMES, FPS, WINDOW = 120, 2, 900  # a window that is filled once or twice
CHUNKS = ('8', 'auto')
COUNTS = ('few', pytest.param('all', marks=(pytest.mark.slow, pytest.mark.timeout(0))))


@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('variant', ['live1+', 'live1'])
def test_random_streams_agree_in_bfloat16(variant: str, count: str) -> None:
    exact, half = tiny_model(variant), tiny_model(variant, dtype=torch.bfloat16)
    chunks, formats = Agreement('chunks with single frames'), Agreement('bfloat16 with float32')
    start = seed_of_chance()
    for seed in range(start, start + NUM_STREAMS[count]):

        def log(model: TinyModel, chunk: str, seed: int = seed) -> list[tuple]:
            given = random_stream(seed, model, evicting=seed % 2 == 0)
            return log_of(play(model, given, chunk=chunk))

        single = log(half, '1')
        formats.add(log(exact, '1'), single)
        for chunk in CHUNKS:
            chunks.add(single, log(half, chunk))
    chunks.check(verdicts=0.99, responses=0.95, p_silence=0.05)
    formats.check(verdicts=0.97, responses=0.85, p_silence=0.15)


@pytest.mark.parametrize('count', COUNTS)
def test_the_bundled_model_agrees_in_bfloat16(count: str) -> None:
    """The same frame tokens, so that only what the engine does may differ."""
    exact, half = (
        load_model(load_config(BUNDLED, device='cpu', dtype=dtype).model)
        for dtype in ('float32', 'bfloat16')
    )
    chunks, formats = Agreement('chunks with single frames'), Agreement('bfloat16 with float32')
    start = seed_of_chance()
    for seed in range(start, start + NUM_EPISODES[count]):
        frames = _episode(seed, exact)
        single = _log(half, frames, '1')
        formats.add(_log(exact, frames, '1'), single)
        for chunk in CHUNKS:
            chunks.add(single, _log(half, frames, chunk))
    chunks.check(verdicts=0.99, responses=0.95, p_silence=0.05)
    formats.check(verdicts=0.97, responses=0.85, p_silence=0.15)


class Agreement:
    """How often two engines say the same of the same stream."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.same: collections.Counter[str] = collections.Counter()
        self.compared: collections.Counter[str] = collections.Counter()
        self.distances: list[float] = []  # of p(silence), frame by frame

    def add(self, one: list[tuple], other: list[tuple]) -> None:
        """Compare two logs of one stream, up to the first frame or response that differs."""
        for left, right in zip(one, other, strict=False):
            kind, is_same = left[0], left == right
            if left[0] == right[0] == 'frame':
                self.distances.append(abs(left[2] - right[2]))
                is_same = left[3] == right[3]
            self.compared[kind] += 1
            self.same[kind] += is_same
            if not is_same:
                return

    def check(self, *, verdicts: float, responses: float, p_silence: float) -> None:
        """Fail below these shares of verdicts and responses, above this distance."""
        distances = torch.tensor(self.distances, dtype=torch.double)
        spread = [f'{distances.quantile(share):.2g}' for share in (0.5, 0.99, 1.0)]
        found = ', '.join(
            f'{self.same[kind]} of {total} {kind}s' for kind, total in self.compared.items()
        )
        print(f'{self.what}: {found}; |delta p| in the middle, 99 %, greatest: {spread}')
        assert self.same['frame'] >= verdicts * self.compared['frame'] > 0
        assert self.same['response'] >= responses * self.compared['response'] > 0
        assert distances.max() <= p_silence


def _episode(seed: int, model: VloModel) -> list[FrameTokens]:
    episode, size = Episode(seed, 'new'), model.tower.resolution
    frames = []
    for first in range(0, EPISODE_FRAMES, 24):
        indices = range(first, first + 24)
        images_NHWC = np.stack([episode.frame(index / FPS, size) for index in indices])
        pixels_NCSS = torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).contiguous()
        for index, tokens_FD in zip(indices, model.encode_pixels(pixels_NCSS), strict=True):
            frames.append(FrameTokens(index * NS_PER_S // FPS, index, tokens_FD))
    return frames


def _log(model: VloModel, frames: list[FrameTokens], chunk: str) -> list[tuple]:
    config = load_config(BUNDLED, chunk=chunk, window_tokens=WINDOW).stream
    stream = Stream(model, dataclasses.replace(config, backlog_frames=EPISODE_FRAMES))
    for frame in frames:
        stream.put_frame(frame)
    outcomes = list(stream.advance())
    assert stream.num_evictions > 0
    return log_of(outcomes)
