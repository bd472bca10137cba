# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA and connector in the published layout: checked against the base model, attached, merged.

The layout: `base_model.model.<module>.lora_{A,B}.weight`, `base_model.model.connector.{0,2}.*`,
and a copy of the frozen `lm_head` (peft saves it because the target expression names it).
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from vlo_ros.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER_FILE = 'adapter_model.safetensors'
PEFT_PREFIX = 'base_model.model.'
# Names that a state dict has when it is saved past peft's own writer.
SAVED_NAMES = {
    r'\.modules_to_save\.(default\.)?': '.',
    r'\.lora_([AB])\.default\.': r'.lora_\1.',
}


def merge_adapter(model: Any, folder: Path) -> Any:
    """Load LoRA and connector into `model` and merge them.

    Raises:
        CheckpointError: The adapter is missing, damaged or was made for another base.
    """
    return attach_adapter(model, folder).merge_and_unload()


def attach_adapter(model: Any, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Load LoRA and connector into `model`, side by side with its own weights.

    Raises:
        CheckpointError: The adapter is missing, damaged or was made for another base.
    """
    # Here, not above: it takes seconds, and weights that are merged already do without.
    from peft import PeftModel, get_peft_model_state_dict

    path = folder / ADAPTER_FILE
    if not path.exists():
        hint = (
            '; adapter_model.bin is a pickle and is not read'
            if path.with_suffix('.bin').exists()
            else ''
        )
        raise CheckpointError(f'model.adapter {folder}: {ADAPTER_FILE} is missing{hint}')
    shapes = check_adapter(model, path)
    if any('.lm_head.' in key for key in shapes):
        _untie_head(model)
    try:
        with warnings.catch_warnings():
            # peft asks transformers for a name that the latter has renamed.
            warnings.filterwarnings('ignore', '.*is_gradient_checkpointing', FutureWarning)
            # What is missing is counted below.
            warnings.filterwarnings('ignore', 'Found missing adapter keys', UserWarning)
            adapted = PeftModel.from_pretrained(
                model, str(folder), is_trainable=trainable, key_mapping=SAVED_NAMES
            )
        wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        raise CheckpointError(f'model.adapter {folder}: {one_line(error)}') from error
    missing = sorted(set(wanted) - set(shapes))
    if missing:
        raise CheckpointError(
            f'model.adapter {folder}: {len(missing)} of the weights that adapt this base model '
            f'are missing, {missing[0]} first'
        )
    return adapted


def check_adapter(model: Any, path: Path) -> dict[str, list[int]]:
    """Return the shapes in the adapter file at `path`, by the names peft knows them by.

    Raises:
        CheckpointError: The file is damaged, or a tensor does not fit `model`.
    """
    modules = dict(model.named_modules())
    where = f'model.adapter {path.parent}'
    try:
        with safe_open(str(path), 'pt') as file:
            names = {_canonical(name): name for name in file.keys()}  # noqa: SIM118 (no mapping)
            shapes = {key: file.get_slice(name).get_shape() for key, name in names.items()}
            for key, shape in shapes.items():
                name, _, kind = key.removeprefix(PEFT_PREFIX).partition('.lora_')
                if kind:
                    side, want = (
                        ('in_features', shape[1:])
                        if kind[0] == 'A'
                        else ('out_features', shape[:1])
                    )
                    _check_size(where, name, [getattr(modules.get(name), side, 0)], want)
                elif key.endswith('.base_layer.weight'):
                    frozen = modules.get(name.removesuffix('.base_layer.weight'))
                    weight = getattr(frozen, 'weight', torch.empty(0))
                    if weight.is_floating_point():
                        _check_size(where, name, list(weight.shape), shape)
                        if not weight.is_meta:
                            saved = file.get_slice(names[key])[:64]
                            _check_frozen(where, name, weight[:64], saved)
    except SafetensorError as error:
        raise CheckpointError(f'{path}: damaged: {one_line(error)}') from error
    for name, tensor in model.connector.state_dict().items():
        saved_shape = shapes.get(f'{PEFT_PREFIX}connector.{name}')
        if saved_shape is None:
            raise CheckpointError(f'{where}: it has no connector weights ({name} is missing)')
        if saved_shape != list(tensor.shape):
            raise CheckpointError(
                f'{where}: its connector was made for another vision tower or base model: '
                f'{name} has shape {saved_shape} there, {list(tensor.shape)} here'
            )
    return shapes


def _check_size(where: str, name: str, here: list[int], there: list[int]) -> None:
    if here != there:
        raise CheckpointError(
            f'{where}: made for another base model: {name} has size {there} there, {here} here'
        )


def _check_frozen(where: str, name: str, here: torch.Tensor, there: torch.Tensor) -> None:
    """Compare weights that training froze: the adapter brings a copy of the base model's head."""
    there = there.to(here.device, here.dtype).float()
    difference = (here.float() - there).abs().mean()
    if not difference <= 0.02 * there.abs().mean():
        raise CheckpointError(
            f'{where}: made for another base model: {name} has other weights there than here'
        )


def _canonical(name: str) -> str:
    """Name of a saved tensor as peft writes it today."""
    for pattern, replacement in SAVED_NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


def _untie_head(model: Any) -> None:
    """Give the head its own weights where it shares the embedding's, which LoRA must not touch."""
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
