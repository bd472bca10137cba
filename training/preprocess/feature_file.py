# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One recording's features on disk: written whole or not at all, told apart by their header.

`UID.safetensors` holds `features`, bfloat16 (N, F, V) before the connector, and `stamps_ns`,
int64 (N,), the capture time of each frame. Official `UID.pt` files stand beside them.
"""

# Shapes: N frames, F tokens per frame, V vision dim.
from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from training.features import TENSOR, FeatureError
from training.whole_files import partial_path
from vlo_ros.errors import one_line

STAMPS = 'stamps_ns'
HEADER = 'recording'
SUFFIX = '.safetensors'
OFFICIAL_SUFFIX = '.pt'
WRONG_CONTENT = (RuntimeError, ValueError, TypeError, pickle.UnpicklingError)


@dataclass(frozen=True)
class Header:
    """What a feature file says of itself; all but the frame count are unknown of a `.pt`.

    Attributes:
        num_frames: N.
        source: The recording.
        fps: Frames per second.
        tower: Fingerprint of the vision tower.
        gaps: How holes of the recording were treated.
        damage: Why the recording could not be read to its end; empty when it could.
        hole_s: Seconds of the recording that have no frames.
        num_parts: Streams in the recording; more than 1 when its stamps went back.
    """

    num_frames: int
    source: str = ''
    fps: float = 0.0
    tower: str = ''
    gaps: str = ''
    damage: str = ''
    hole_s: float = 0.0
    num_parts: int = 1


def write_features(
    path: Path, features_NFV: torch.Tensor, stamps_ns: torch.Tensor, header: Header
) -> None:
    """Write a feature file; a kill leaves the old file or the new one, never half of one.

    Raises:
        FeatureError: It cannot be written.
    """
    partial = partial_path(path)
    # One key: safetensors writes several in an order that changes from run to run.
    fields = {HEADER: json.dumps({k: v for k, v in vars(header).items() if k != 'num_frames'})}
    tensors = {TENSOR: features_NFV.to(torch.bfloat16).contiguous(), STAMPS: stamps_ns}
    try:
        save_file(tensors, partial, fields)
        partial.chmod(0o644)  # safetensors keeps it from the rest of a cluster
        with partial.open('rb') as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise FeatureError(f'{path}: cannot be written: {one_line(error)}') from error


def read_header(path: Path) -> Header:
    """Read what a feature file says of itself; its features are not read.

    Raises:
        FeatureError: It is damaged, or holds something else.
    """
    try:
        if path.suffix == OFFICIAL_SUFFIX:
            features = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
            if not isinstance(features, torch.Tensor) or features.ndim != 3:
                raise FeatureError(f'{path}: a tensor (frames, tokens, dim) is expected')
            return Header(len(features))
        with safe_open(str(path), 'pt') as file:
            num_frames = file.get_slice(TENSOR).get_shape()[0]
            fields = json.loads((file.metadata() or {}).get(HEADER, '{}'))
            return Header(num_frames, **fields)
    except (OSError, SafetensorError, *WRONG_CONTENT) as error:
        raise FeatureError(f'{path}: damaged: {one_line(error)}') from error


def read_stamps(path: Path) -> torch.Tensor:
    """Capture time of each frame, ns: int64 (N,).

    Raises:
        FeatureError: The file is damaged or has no stamps.
    """
    try:
        with safe_open(str(path), 'pt') as file:
            stamps: torch.Tensor = file.get_tensor(STAMPS)
            return stamps
    except (OSError, SafetensorError) as error:
        raise FeatureError(f'{path}: no stamps: {one_line(error)}') from error


def find_file(folder: Path, uid: str) -> Path | None:
    """The feature file of a recording, ours or an official one."""
    for suffix in (SUFFIX, OFFICIAL_SUFFIX):
        path = folder / f'{uid}{suffix}'
        if path.is_file():
            return path
    return None
