# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the parity fixtures hold for live inference, loaded once."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.config import load_config

GOLDEN = Path(__file__).parent / 'golden'
VARIANTS = ('live1plus', 'live1')


@functools.cache
def load_tiny(variant: str) -> VloModel:
    """The tiny model of a variant, in float32 on the CPU."""
    return load_model(load_config(GOLDEN / variant / 'model.yaml', device='cpu').model)


@functools.cache
def read_inference(variant: str) -> dict[str, Any]:
    """inference.json."""
    return json.loads((GOLDEN / variant / 'inference.json').read_text())


@functools.cache
def frame_bank(variant: str) -> npt.NDArray[np.uint8]:
    """All frames, (N, 3, S, S)."""
    return np.load(GOLDEN / variant / 'frames.npz')['frames']


@functools.cache
def arrays(variant: str) -> dict[str, torch.Tensor]:
    """arrays.safetensors."""
    return load_file(GOLDEN / variant / 'arrays.safetensors')


@functools.cache
def logits(variant: str) -> dict[str, torch.Tensor]:
    """inference_logits.safetensors."""
    return load_file(GOLDEN / variant / 'inference_logits.safetensors')


@functools.cache
def bank_tokens(variant: str) -> torch.Tensor:
    """Frame tokens of the whole bank, (N, F, D)."""
    return load_tiny(variant).encode_pixels(torch.from_numpy(frame_bank(variant)))


def scenario_names() -> list[tuple[str, str]]:
    """(variant, scenario) pairs."""
    return [
        (variant, scenario['name'])
        for variant in VARIANTS
        for scenario in read_inference(variant)['scenarios']
    ]


def scenario(variant: str, name: str) -> dict[str, Any]:
    """One scenario."""
    return next(one for one in read_inference(variant)['scenarios'] if one['name'] == name)


def write_recording(variant: str, name: str, folder: Path) -> tuple[Path, Path]:
    """Write a scenario as `vlo replay` takes it; return the .npz and the queries."""
    one = scenario(variant, name)
    frames, queries = folder / f'{name}.npz', folder / f'{name}.jsonl'
    np.savez_compressed(frames, frames=frame_bank(variant)[one['frame_index']])
    now, lines = 0.0, []
    for action in one['actions']:
        if action['do'] == 'video':
            now = action['time']
        elif action['do'] == 'query':
            time = now if action['time'] is None else action['time']
            lines.append(json.dumps({'time': time, 'text': action['text']}) + '\n')
    queries.write_text(''.join(lines))
    return frames, queries
