# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recipe asks for and this machine may lack: packages and GPUs, each told in one line."""

from __future__ import annotations

import importlib.util

import torch

from training.recipe import Recipe
from vlo_ros.errors import ConfigError

_FLOAT8_SINCE = (8, 9)  # compute capability of Ada and Hopper


def check_available(recipe: Recipe) -> None:
    """Refuse a recipe that cannot run here, before anything is loaded.

    Raises:
        ConfigError: A package or a GPU is missing.
    """
    train, on_gpu = recipe.train, torch.cuda.is_available() and recipe.train.device != 'cpu'
    wanted = [
        ('train.report_to', train.report_to == 'wandb', 'wandb', False),
        ('train.deepspeed', bool(train.deepspeed), 'deepspeed', True),
        ('train.fp8', train.fp8, 'torchao', True),
        ('model.quantize', recipe.model.quantize, 'bitsandbytes', True),
        ('model.attention', recipe.model.attention == 'flash_attention_2', 'flash_attn', True),
    ]
    for setting, asked, package, needs_gpu in wanted:
        if asked and not importlib.util.find_spec(package):
            raise ConfigError(f'{setting}: it needs {package}: pip install {package}')
        if asked and needs_gpu and not on_gpu:
            raise ConfigError(f'{setting}: it needs a CUDA device, and there is none')
    if train.fp8 and torch.cuda.get_device_capability() < _FLOAT8_SINCE:
        raise ConfigError(
            f'train.fp8: {torch.cuda.get_device_name()} has no float8 products; '
            'compute capability 8.9 or later has'
        )
