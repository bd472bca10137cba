# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a trained model so that `vlo_ros.checkpoint.load_model` reads it as it is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file, save_file

from training.build import Trainee
from training.model import StreamModel
from training.recipe import Recipe
from vlo_ros.adapter import ADAPTER_FILE
from vlo_ros.config import StreamConfig
from vlo_ros.errors import CheckpointError

TRAINABLE = 'trainable.safetensors'  # in checkpoints: what training changes, bit for bit
MODEL_YAML = 'model.yaml'


def write_model(
    trainee: Trainee,
    recipe: Recipe,
    folder: Path,
    state: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write weights, tokenizer and model YAML.

    LoRA: the published adapter layout; the YAML names the base. All weights: `llm/`,
    `connector.safetensors` and a copy of the vision tower in `vision/`.

    Args:
        trainee: What was trained.
        recipe: Names base and tower.
        folder: Where to; made if needed.
        state: Weights gathered from several devices; None takes the model's own.
    """
    model = trainee.model
    folder.mkdir(parents=True, exist_ok=True)
    own = dict(state if state is not None else model.state_dict())
    inner = {name.removeprefix('language.'): value for name, value in own.items()}
    section: dict[str, Any]
    if isinstance(model.language, PeftModel):
        # The head is frozen: its own weights (vocabulary x hidden) need not be saved again.
        model.language.save_pretrained(str(folder), state_dict=inner, save_embedding_layers=False)
        _check_adapter_config(folder, recipe)
        trainee.template.tokenizer.save_pretrained(str(folder))  # with the placeholder
        section = {'llm': _anchor(recipe.model.llm), 'adapter': '.'}
    else:
        causal = {k: v for k, v in inner.items() if not k.startswith('connector.')}
        connector = {
            name.removeprefix('connector.'): value.float().contiguous().cpu()
            for name, value in inner.items()
            if name.startswith('connector.')
        }
        model.causal.save_pretrained(str(folder / 'llm'), state_dict=causal)
        _copy_tokenizer(trainee.tokenizer_folder, folder / 'llm')
        save_file(connector, folder / 'connector.safetensors')
        section = {'llm': 'llm', 'connector': 'connector.safetensors'}
    section['vision'] = _vision(recipe.model.vision, folder, copy='connector' in section)
    section['variant'] = recipe.model.variant
    (folder / MODEL_YAML).write_text(_model_yaml(section, recipe.stream), encoding='utf-8')


def save_trainable(
    model: StreamModel, folder: Path, state: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write what training changes, bit for bit."""
    own = dict(state if state is not None else model.state_dict())
    wanted = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    tensors = {name: own[name].detach().contiguous().cpu().clone() for name in sorted(wanted)}
    save_file(tensors, folder / TRAINABLE)


def load_trainable(model: StreamModel, folder: Path) -> None:
    """Read back what `save_trainable` wrote.

    Raises:
        CheckpointError: It is missing or was written by another recipe.
    """
    path = folder / TRAINABLE
    if not path.exists():
        raise CheckpointError(f'{path} is missing; the checkpoint cannot be resumed')
    tensors = load_file(path)
    wanted = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if wanted != set(tensors):
        odd = sorted(wanted ^ set(tensors))[0]
        raise CheckpointError(
            f'{path}: written by another recipe: {odd} is in one of the two only'
        )
    model.load_state_dict(tensors, strict=False)


def _check_adapter_config(folder: Path, recipe: Recipe) -> None:
    """Name the base model and leave no trace of what peft invents."""
    path = folder / 'adapter_config.json'
    if not (folder / ADAPTER_FILE).exists():
        raise CheckpointError(f'{folder}: {ADAPTER_FILE} was not written')
    content = json.loads(path.read_text(encoding='utf-8'))
    content['base_model_name_or_path'] = recipe.model.llm
    path.write_text(json.dumps(content, indent=2, sort_keys=True), encoding='utf-8')
    (folder / 'README.md').unlink(missing_ok=True)


def _copy_tokenizer(source: Path, folder: Path) -> None:
    for name in ('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'):
        if (source / name).exists() and source.resolve() != folder.resolve():
            shutil.copyfile(source / name, folder / name)


def _vision(name: str, folder: Path, *, copy: bool) -> str:
    """Name the tower from the model YAML's folder; beside weights of our own it is copied."""
    path = Path(name).expanduser()
    if not name or not path.is_dir():
        return name
    if not copy:
        return _anchor(name)
    target = folder / 'vision'
    target.mkdir(exist_ok=True)
    for file in ('config.json', 'model.safetensors'):
        if (path / file).resolve() != (target / file).resolve():
            shutil.copyfile(path / file, target / file)
    return 'vision'


def _anchor(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.resolve()) if path.is_dir() else name


def _model_yaml(section: dict[str, Any], stream: StreamConfig) -> str:
    default = StreamConfig()
    changed = {
        spec.name: getattr(stream, spec.name)
        for spec in dataclasses.fields(StreamConfig)
        if getattr(stream, spec.name) != getattr(default, spec.name)
    }
    changed['frame_fps'] = stream.frame_fps
    return str(yaml.safe_dump({'model': section, 'stream': changed}, sort_keys=False))
