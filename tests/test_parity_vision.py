# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official implementation's recorded vision features and frame tokens."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.golden_scenarios import GOLDEN, VARIANTS, arrays, bank_tokens, frame_bank, load_tiny
from vlo_ros.checkpoint import load_tower
from vlo_ros.config import ModelConfig
from vlo_ros.vision import VisionTower

GRIDS = GOLDEN / 'vision_grids'
CASES = [
    (grid, case)
    for grid, content in json.loads((GRIDS / 'cases.json').read_text()).items()
    for case in content['cases']
]


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected.view(actual.shape), rtol=0, atol=1e-4)


def sampled_frames(variant: str) -> list[int]:
    training = json.loads((GOLDEN / variant / 'training.json').read_text())
    return list(training['visual_embed_frame_index'])


@pytest.mark.parametrize('variant', VARIANTS)
def test_features_of_the_whole_bank(variant: str) -> None:
    tower = load_tiny(variant).tower
    close(tower.encode(torch.from_numpy(frame_bank(variant))), arrays(variant)['features'])


@pytest.mark.parametrize('variant', VARIANTS)
def test_frame_tokens(variant: str) -> None:
    tokens_NFD = bank_tokens(variant)
    close(tokens_NFD[:4], arrays(variant)['connector_out_first4'])
    close(tokens_NFD[sampled_frames(variant)], arrays(variant)['visual_embed'])


@pytest.mark.parametrize('variant', VARIANTS)
def test_tower_outputs_before_pooling(variant: str) -> None:
    tower = load_tiny(variant).tower
    images = torch.from_numpy(frame_bank(variant)[sampled_frames(variant)])
    with torch.inference_mode():
        output = tower.model(pixel_values=(images.float() / 255 - 0.5) / 0.5)
    close(output.last_hidden_state, arrays(variant)['vision_last_hidden_state'])
    close(output.pooler_output, arrays(variant)['vision_pooler_output'])


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_frame_encodes_alike_alone_and_in_a_batch(variant: str) -> None:
    model = load_tiny(variant)
    alone = model.encode_pixels(torch.from_numpy(frame_bank(variant)[5:6]))
    close(alone, bank_tokens(variant)[5:6])


@pytest.mark.parametrize(('grid', 'case'), CASES, ids=[case['array'] for _, case in CASES])
def test_every_grid_and_choice_of_tokens(grid: str, case: dict[str, Any]) -> None:
    config = ModelConfig(vision=str(GRIDS / grid))
    loaded = load_tower(config, torch.device('cpu'), torch.float32)
    pooled = case['frame_token_pooled']
    tower = VisionTower(
        loaded.model,
        loaded.kind,
        use_patches=pooled is not None,
        use_cls=case['frame_token_cls'],
        grid=tuple(pooled) if pooled else (3, 3),
    )
    frames = torch.from_numpy(np.load(GRIDS / 'frames.npz')[grid])
    features = tower.encode(frames)
    expected = load_file(GRIDS / 'outputs.safetensors')[case['array']]
    assert list(features.shape) == case['shape']
    assert tower.frame_num_tokens == case['shape'][1]
    close(features, expected)
