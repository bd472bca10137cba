# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine lacks is said in one line, before anything is loaded."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch

from training.availability import check_available
from training.recipe_file import recipe_from
from vlo_ros.errors import ConfigError

ASKED = {
    'wandb': {'train': {'report_to': 'wandb'}},
    'deepspeed': {'train': {'deepspeed': 'zero.json'}},
    'torchao': {'train': {'fp8': True}},
    'bitsandbytes': {'model': {'llm': 'llama', 'quantize': True}},
    'flash_attn': {'model': {'llm': 'llama', 'attention': 'flash_attention_2'}},
}


def recipe(asked: dict[str, Any]):
    return recipe_from({'model': {'llm': 'llama'}, **asked}, 'recipe')


def pretend(monkeypatch: pytest.MonkeyPatch, packages: set[str], capability: Any = None) -> None:
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: name if name in packages else None
    )
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'GPU')


@pytest.mark.parametrize('package', ASKED)
def test_a_missing_package_is_named(monkeypatch, package):
    pretend(monkeypatch, set(), (9, 0))
    with pytest.raises(ConfigError, match=rf'needs {package}: pip install {package}$'):
        check_available(recipe(ASKED[package]))


@pytest.mark.parametrize('package', [name for name in ASKED if name != 'wandb'])
def test_a_missing_gpu_is_told(monkeypatch, package):
    pretend(monkeypatch, {package})
    with pytest.raises(ConfigError, match='needs a CUDA device'):
        check_available(recipe(ASKED[package]))


@pytest.mark.parametrize('package', ASKED)
def test_what_is_there_is_taken(monkeypatch, package):
    pretend(monkeypatch, {package}, (9, 0))
    check_available(recipe(ASKED[package]))
    pretend(monkeypatch, set())
    check_available(recipe({}))


def test_an_older_gpu_has_no_float8(monkeypatch):
    pretend(monkeypatch, {'torchao'}, (8, 0))
    with pytest.raises(ConfigError, match=r'train.fp8: GPU has no float8 .* 8\.9'):
        check_available(recipe(ASKED['torchao']))


def test_four_bits_and_float8_exclude_each_other():
    with pytest.raises(ConfigError, match=r'train\.fp8'):
        recipe({'model': {'llm': 'llama', 'quantize': True}, 'train': {'fp8': True}})
