# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the parity fixtures hold, loaded once."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training.collate import Example
from training.model import StreamModel
from vlo_ros.adapter import attach_adapter
from vlo_ros.checkpoint import VloModel, load_base, load_model
from vlo_ros.config import ModelConfig, load_config
from vlo_ros.connector import make_connector
from vlo_ros.language import family_of
from vlo_ros.template import Template, turns_from

GOLDEN = Path(__file__).parent.parent / 'golden'
VARIANTS = {'live1plus': (10, True), 'live1': (1, False)}  # frame tokens, interval
# Variant and name of every recorded conversation.
CASES = [
    (variant, one['name'])
    for variant in VARIANTS
    for one in json.loads((GOLDEN / variant / 'training.json').read_text())['conversations']
]


@dataclass(frozen=True)
class Golden:
    """One variant of the fixtures."""

    folder: Path
    data: dict[str, Any]
    features: torch.Tensor  # (bank, F, V)
    model: StreamModel
    template: Template

    def example(self, conversation: dict[str, Any]) -> Example:
        turns = turns_from(conversation['conversation'], self.data['system_prompt'])
        rows = torch.tensor(conversation['frame_index'], dtype=torch.long)
        return Example(self.template.render(turns), self.features[rows])

    def conversation(self, name: str) -> dict[str, Any]:
        return next(one for one in self.data['conversations'] if one['name'] == name)


@functools.cache
def load_golden(variant: str) -> Golden:
    folder = GOLDEN / variant
    features = load_file(folder / 'arrays.safetensors')['features']
    config = ModelConfig(llm=str(folder / 'llm'), dtype='float32')
    base, tokenizer = load_base(config, torch.device('cpu'), torch.float32, 'sdpa')
    base.connector = make_connector(features.shape[-1], base.config.hidden_size)
    language = attach_adapter(base, folder / 'checkpoint', trainable=True)
    template = Template(tokenizer, family_of(base.config.model_type), *VARIANTS[variant])
    model = StreamModel(language, template.placeholder_id).eval()
    data = json.loads((folder / 'training.json').read_text())
    return Golden(folder, data, features, model, template)


@functools.cache
def load_live(variant: str) -> VloModel:
    """The same model as a stream takes it."""
    return load_model(load_config(GOLDEN / variant / 'model.yaml', device='cpu').model)
