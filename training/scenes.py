# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where scenes to evaluate come from: the rendered world by seed, or conversations on disk."""

# Shapes: N frames, F tokens per frame, V vision dim, S tower resolution.
from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from training.corpus import read_conversations
from training.datasets.clipping import clip_frames
from training.features import FeatureStore
from training.free_running import Scene
from training.rendered_world.conversation import Stretch, converse
from vlo_ros.checkpoint import VloModel
from vlo_ros.rendered_world import Episode

_FRAMES_PER_BATCH = 64


def world_scenes(
    model: VloModel,
    seeds: range,
    split: str,
    minutes: float,
    fps: float,
    *,
    question_every_s: float = 10.0,
    blind: bool = False,
) -> Iterator[Scene]:
    """Render episodes, their conversations drawn from the seed.

    Args:
        model: Encodes the frames.
        seeds: Episodes.
        split: 'new', 'background', 'pairs' (or 'train', which training has seen).
        minutes: Length of each.
        fps: Frames per second.
        question_every_s: Mean seconds between questions; 0 asks none.
        blind: Show zeros instead of frames.
    """
    for seed in seeds:
        episode = Episode(seed, split)
        stretch = Stretch(0.0, max(2, round(minutes * 60 * fps)), fps)
        rng = np.random.default_rng((seed, 11))
        conversation = converse(episode, stretch, rng, question_every_s)
        features, encode_s = _encode(model, episode, stretch)
        yield Scene(conversation, _connect(model, features, blind), encode_s)


def stored_scenes(
    model: VloModel,
    conversations: Sequence[str | Path],
    folders: Sequence[str | Path],
    *,
    max_num_frames: int = 1200,
    limit: int = 0,
    blind: bool = False,
) -> Iterator[Scene]:
    """Read conversations and their cached features; `limit` 0 reads all."""
    store = FeatureStore(folders)
    samples = read_conversations(conversations)
    for sample in samples[: limit or None]:
        conversation, ranges = clip_frames(
            sample['conversation'], sample['load_ranges'], max_num_frames
        )
        yield Scene(conversation, _connect(model, store.load(ranges), blind))


@torch.inference_mode()
def _encode(model: VloModel, episode: Episode, stretch: Stretch) -> tuple[torch.Tensor, float]:
    """Features of every frame (N, F, V), and the seconds that one frame alone takes."""
    size = model.tower.resolution
    parts = []
    for low in range(0, stretch.num_frames, _FRAMES_PER_BATCH):
        rows = range(low, min(low + _FRAMES_PER_BATCH, stretch.num_frames))
        images_NSSC = np.stack([episode.frame(stretch.time(i), size) for i in rows])
        pixels_NCSS = torch.from_numpy(images_NSSC).permute(0, 3, 1, 2).contiguous()
        parts.append(model.tower.encode(pixels_NCSS))
    started = time.perf_counter()
    model.tower.encode(pixels_NCSS[:1])
    return torch.cat(parts), time.perf_counter() - started


@torch.inference_mode()
def _connect(model: VloModel, features: torch.Tensor, blind: bool) -> torch.Tensor:
    seen = torch.zeros_like(features) if blind else features
    tokens_NFD: torch.Tensor = model.connector(seen.to(model.device, model.dtype))
    return tokens_NFD
