# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights from folders or the hub: base model + LoRA + connector + vision tower, checked.

Reads the published layout as it is (docs/architecture.md). Only safetensors are read, never a
pickle; whatever is missing or does not fit is a CheckpointError, never a random weight.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from vlo_ros import onednn
from vlo_ros.adapter import merge_adapter
from vlo_ros.attention import ATTENTION
from vlo_ros.config import ModelConfig
from vlo_ros.connector import make_connector
from vlo_ros.errors import CheckpointError, ConfigError, one_line
from vlo_ros.events import Frame, FrameTokens
from vlo_ros.language import family_of
from vlo_ros.language_model import LanguageModel
from vlo_ros.quantization import quantize
from vlo_ros.template import Template
from vlo_ros.vision import VisionTower, tower_kind_of

HUB_FILES = ['*.json', '*.safetensors', '*.model', '*.txt']
# What transformers lets out for folders that are damaged or hold something else.
LOAD_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)


@dataclass(frozen=True)
class VloModel:
    """All weights of one model; shared by every stream, changed by none."""

    config: ModelConfig
    tower: VisionTower
    connector: nn.Module
    language: LanguageModel
    template: Template

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.language.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are held in."""
        return self.language.dtype

    def encode(self, frames: Sequence[Frame]) -> list[FrameTokens]:
        """Encode frames in one batch."""
        if not frames:
            return []
        pixels_NCSS = self.tower.load_pixels([frame.image_HWC for frame in frames])
        tokens_NFD = self.encode_pixels(pixels_NCSS)
        return [
            FrameTokens(frame.stamp_ns, frame.index, tokens_FD)
            for frame, tokens_FD in zip(frames, tokens_NFD, strict=True)
        ]

    @torch.inference_mode()
    def encode_pixels(self, pixels_NCSS: torch.Tensor) -> torch.Tensor:
        """Frame tokens of square uint8 images: (N, 3, S, S) -> (N, F, D)."""
        features_NFV = self.tower.encode(pixels_NCSS)
        with self.tower.own_stream():
            tokens_NFD: torch.Tensor = self.connector(features_NFV.to(self.device, self.dtype))
        if tokens_NFD.is_cuda:
            # The language model reads them on the default stream: keep their memory until then.
            tokens_NFD.record_stream(torch.cuda.default_stream(self.device))
        return tokens_NFD

    def memory_bytes(self) -> int:
        """Bytes of all weights."""
        modules = (self.tower.model, self.connector, self.language.model)
        tensors: int = sum(
            tensor.numel() * tensor.element_size()
            for module in modules
            for tensor in (*module.parameters(), *module.buffers())
        )
        return tensors + sum(onednn.packed_bytes(module) for module in modules)


def load_model(config: ModelConfig) -> VloModel:
    """Load everything `config` names, LoRA merged, ready for inference.

    Raises:
        CheckpointError: Something is missing, damaged or made for another model.
        ConfigError: The device or dtype cannot be had here.
    """
    device, dtype = resolve_device(config), resolve_dtype(config)
    tower = load_tower(config, device, dtype)
    model, tokenizer = load_base(config, device, dtype)
    model.connector = make_connector(tower.dim, model.config.hidden_size).to(device, dtype)
    if config.adapter:
        model = merge_adapter(
            model, local_folder('adapter', config.adapter, config.adapter_revision)
        )
    elif config.connector:
        load_connector(model.connector, Path(config.connector))
    else:
        raise ConfigError('model: neither adapter nor connector is given; one must be')
    connector = model.connector.to(device, dtype).eval().requires_grad_(False)
    del model.connector
    quantize(model, config.quantization, device)
    if device.type == 'cpu':
        for module in (model, connector, tower.model):
            onednn.pack_linears(module)
    return VloModel(
        config,
        tower,
        connector,
        LanguageModel(model),
        make_template(config, tower, model, tokenizer),
    )


def make_template(
    config: ModelConfig, tower: VisionTower, model: Any, tokenizer: PreTrainedTokenizerBase
) -> Template:
    """Build the conversation format that goes with these weights."""
    family = family_of(model.config.model_type)
    use_interval = config.variant == 'live1+'
    return Template(tokenizer, family, tower.frame_num_tokens, use_interval)


def load_tower(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> VisionTower:
    """Load the vision tower alone."""
    folder = local_folder('vision', config.vision, config.vision_revision)
    kind = tower_kind_of(read_config('vision', folder).model_type)
    model = _from_pretrained(kind.model_class, 'vision', folder, dtype=dtype)
    return VisionTower(model.to(device), kind, use_patches=config.variant == 'live1+')


def load_base(
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype,
    attention: str = ATTENTION,
    **options: Any,
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load the language model without adapter, and its tokenizer.

    Args:
        config: Names the weights.
        device: Where they go.
        dtype: What they are held in.
        attention: transformers' name of the attention to use.
        **options: For `from_pretrained`, such as a quantization_config.
    """
    folder = local_folder('llm', config.llm, config.llm_revision)
    family_of(read_config('llm', folder).model_type)
    model = _from_pretrained(
        AutoModelForCausalLM, 'llm', folder, dtype=dtype, attn_implementation=attention, **options
    )
    try:
        with _quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, padding_side='left', trust_remote_code=False
            )
    except LOAD_ERRORS as error:
        raise CheckpointError(
            f'model.llm {folder}: no usable tokenizer: {one_line(error)}'
        ) from error
    return model.to(device), tokenizer


def load_connector(connector: nn.Module, path: Path) -> None:
    """Load connector weights (`0.weight`, `0.bias`, `2.weight`, `2.bias`) from safetensors."""
    try:
        connector.load_state_dict(load_file(path.expanduser()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f'model.connector {path}: {one_line(error)}') from error


def local_folder(setting: str, name: str, revision: str | None) -> Path:
    """Return the folder of `name`, a local folder or a hub name that is downloaded once.

    Raises:
        CheckpointError: There is neither.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        return path
    if not name or name.startswith(('.', '/', '~')) or name.count('/') != 1:
        raise CheckpointError(
            f'model.{setting}: {name!r} is no folder; give a folder or a hub name like org/model'
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except Exception as error:  # whatever a network can do
        raise CheckpointError(
            f'model.{setting}: {name!r} is no folder here and cannot be fetched from the hub: '
            f'{one_line(error)}'
        ) from error


def read_config(setting: str, folder: Path) -> Any:
    """Read a transformers config.json."""
    if not (folder / 'config.json').exists():
        raise CheckpointError(f'model.{setting} {folder}: config.json is missing')
    try:
        with _quiet_transformers():
            # Not given, it would ask on the terminal whether to run the folder's code.
            return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise CheckpointError(f'model.{setting} {folder}: {one_line(error)}') from error


def resolve_device(config: ModelConfig) -> torch.device:
    """Device to use; 'auto' takes cuda where there is one."""
    has_cuda = torch.cuda.is_available()
    if config.device == 'cuda' and not has_cuda:
        raise ConfigError("model.device: 'cuda' was asked for, but torch sees no GPU here")
    return torch.device('cuda' if has_cuda and config.device != 'cpu' else 'cpu')


def resolve_dtype(config: ModelConfig) -> torch.dtype:
    """Number format to use; 'auto' is bfloat16 on cuda and float32 on the CPU."""
    name = config.dtype
    if name == 'auto':
        name = 'bfloat16' if resolve_device(config).type == 'cuda' else 'float32'
    dtype: torch.dtype = getattr(torch, name)
    return dtype


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep its reports (such as the text tower left unused) and progress bars off the screen."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        transformers_logging.enable_progress_bar()


def _from_pretrained(model_class: Any, setting: str, folder: Path, **options: Any) -> Any:
    """Load a transformers model; every weight must come from the folder."""
    try:
        with _quiet_transformers():
            model, info = model_class.from_pretrained(
                folder,
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=False,
                **options,
            )
    except LOAD_ERRORS as error:
        raise CheckpointError(f'model.{setting} {folder}: {one_line(error)}') from error
    if info['missing_keys'] or info.get('mismatched_keys'):
        missing = sorted(map(str, [*info['missing_keys'], *info.get('mismatched_keys', ())]))
        raise CheckpointError(
            f'model.{setting} {folder}: {len(missing)} weights are missing or of another shape, '
            f'{missing[0]} first'
        )
    return model
