# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A toy data set: eight patterns in random features, each with its sentence."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from safetensors.torch import save_file

WORDS = ('red cup', 'blue bowl', 'green jar', 'white box')
DIM = 16


def write_toy(folder: Path, num_conversations: int = 6, num_frames: int = 60) -> tuple[str, str]:
    """Write features and conversations; return their paths."""
    generator = torch.Generator().manual_seed(0)
    patterns = 2 * torch.randn(len(WORDS), 10, DIM, generator=generator)
    rng = random.Random(1)
    tensors, samples = {}, []
    for number in range(num_conversations):
        features = 0.3 * torch.randn(num_frames, 10, DIM, generator=generator)
        conversation = [
            {'role': 'stream', 'num_frames': 1, 'learn': False},
            {'role': 'user', 'content': 'Narrate what I do.'},
        ]
        last = 0
        while last + 8 < num_frames:
            gap, which = rng.randint(2, 7), rng.randrange(len(WORDS))
            last += gap
            features[last] += patterns[which]
            conversation += [
                {'role': 'stream', 'num_frames': gap, 'learn': True},
                {'role': 'assistant', 'content': f'You lift the {WORDS[which]}.', 'learn': True},
            ]
        rest = num_frames - 1 - last
        conversation.append({'role': 'stream', 'num_frames': rest, 'learn': True})
        tensors[f'toy_{number}'] = features
        samples.append(
            {'conversation': conversation, 'load_ranges': {f'toy_{number}': [0, num_frames]}}
        )
    save_file(tensors, folder / 'shard.safetensors')
    path = folder / 'toy.json'
    path.write_text(json.dumps(samples))
    return str(path), str(folder)


def toy_recipe(folder: Path) -> str:
    """Write the data and a recipe for it; return the recipe's path."""
    conversations, features = write_toy(folder)
    path = folder / 'toy.yaml'
    path.write_text(
        f"""
scratch: {{hidden_dim: 32, num_layers: 2, num_heads: 2, mlp_dim: 64, num_positions: 1024}}
lora: {{rank: 0}}
data: {{conversations: ['{conversations}'], features: ['{features}'], padding: right}}
train: {{optimizer: muon, learning_rate: 1.0e-3, schedule: wsd, threads: 1, log_every_steps: 1,
         save_every_minutes: 0, save_every_steps: 3, device: cpu}}
stages:
- {{num_steps: 6, batch_size: 2, window_frames: 8, position_gap: 100}}
- {{num_steps: 6, batch_size: 1, window_frames: 16, unlearned_frames: 2}}
"""
    )
    return str(path)
