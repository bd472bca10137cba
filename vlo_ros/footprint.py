# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model needs: parameters, memory, files. Loads no weight; sizes come from configs."""

# Shapes: L layers, G key/value heads, E head dim, F tokens per frame, V vision dim, D hidden dim.
from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from vlo_ros.adapter import ADAPTER_FILE, check_adapter
from vlo_ros.checkpoint import resolve_device, resolve_dtype
from vlo_ros.config import VloConfig
from vlo_ros.connector import make_connector
from vlo_ros.errors import CheckpointError
from vlo_ros.language import family_of
from vlo_ros.language_model import attention_shape, trained_positions, warning_of_window
from vlo_ros.model_files import ModelFiles, find_config, find_files
from vlo_ros.replay import FRAMES_PER_BATCH
from vlo_ros.vision import VisionTower, tower_kind_of

GB = 1e9
# Bytes per parameter of the language model's linear layers; everything else takes `REST_BYTES`.
# int4 holds 4 bits and, for every 128 of them, a scale and a zero point of 16 bits.
LINEAR_BYTES = {'float32': 4.0, 'bfloat16': 2.0, 'int8': 1.0, 'float8': 1.0, 'int4': 0.5 + 4 / 128}
REST_BYTES = {'float32': 4.0, 'bfloat16': 2.0, 'int8': 2.0, 'float8': 2.0, 'int4': 2.0}
CUDA_CONTEXT_BYTES = 600_000_000


@dataclass(frozen=True)
class Footprint:
    """What one model needs with one stream.

    Attributes:
        files: Its parts on this machine.
        parameters: Number of parameters by part: language, vision, connector.
        linear_parameters: How many of the language model's a quantization makes smaller.
        frame_num_tokens: F; one more position is fed between two frames of variant live1+.
        tokens_per_frame: Positions a silent frame takes in the KV cache.
        frame_fps: Frames judged per second.
        window_tokens: Positions of the KV cache.
        cache_values_per_token: Numbers kept per position, 2 L G E.
        working_values: Numbers held at once while a batch of frames is encoded and judged.
        dtype: What the configuration holds weights in here.
        device: Name of the device the configuration takes here.
        device_bytes: Its memory.
        device_free_bytes: What of it is free now.
    """

    files: list[ModelFiles]
    parameters: dict[str, int]
    linear_parameters: int
    frame_num_tokens: int
    tokens_per_frame: int
    frame_fps: float
    window_tokens: int
    cache_values_per_token: int
    working_values: int
    dtype: str
    device: str
    device_bytes: int
    device_free_bytes: int
    notes: list[str] = field(default_factory=list)

    @property
    def num_parameters(self) -> int:
        """Parameters of all parts."""
        return sum(self.parameters.values())

    @property
    def window_minutes(self) -> float:
        """How long a silent stream fits in the window, minutes."""
        return self.window_tokens / self.tokens_per_frame / self.frame_fps / 60

    def weight_bytes(self, dtype: str) -> float:
        """Memory of the weights when the language model's linear layers are held in `dtype`."""
        rest = self.num_parameters - self.linear_parameters
        return self.linear_parameters * LINEAR_BYTES[dtype] + rest * REST_BYTES[dtype]

    def cache_bytes_per_token(self, dtype: str) -> float:
        """KV cache of one position."""
        return self.cache_values_per_token * REST_BYTES[dtype]

    def cache_bytes_per_minute(self, dtype: str) -> float:
        """KV cache that a minute of silence fills."""
        tokens = self.tokens_per_frame * self.frame_fps * 60
        return tokens * self.cache_bytes_per_token(dtype)

    def window_bytes(self, dtype: str) -> float:
        """KV cache of the full window; it is allocated when a stream starts."""
        return self.window_tokens * self.cache_bytes_per_token(dtype)

    def total_bytes(self, dtype: str) -> float:
        """Weights, one stream's window and an estimate of the working memory."""
        working = self.working_values * REST_BYTES[dtype]
        context = CUDA_CONTEXT_BYTES if self.device != 'cpu' else 0
        return self.weight_bytes(dtype) + self.window_bytes(dtype) + working + context

    def fits(self, dtype: str) -> bool:
        """Whether all of it fits the device's memory."""
        return self.total_bytes(dtype) <= self.device_bytes

    def missing(self) -> list[str]:
        """One line for each part with files missing."""
        return [
            f'model.{part.setting} {part.folder}: missing or damaged: {", ".join(part.missing)}'
            for part in self.files
            if part.missing
        ]


def measure(config: VloConfig) -> Footprint:
    """Work out what `config` needs.

    Raises:
        CheckpointError: A part is missing, unreadable, unsupported or does not fit the others.
        ConfigError: The window is larger than the language model allows.
    """
    files = find_files(config.model)
    by_setting = {part.setting: part for part in files}
    language_config = _config_of(by_setting, 'llm')
    vision_config = _config_of(by_setting, 'vision')
    family_of(language_config.model_type)
    kind = tower_kind_of(vision_config.model_type)
    with torch.device('meta'):
        language = AutoModelForCausalLM.from_config(language_config, trust_remote_code=False)
        vision = kind.model_class(getattr(vision_config, 'vision_config', vision_config))
        use_patches = config.model.variant == 'live1+'
        tower = VisionTower(vision, kind, use_patches=use_patches)
        language.connector = make_connector(tower.dim, language.config.hidden_size)
    parameters = {
        'vision': _count(vision),
        'connector': _count(language.connector),
        'language': _count(language) - _count(language.connector),
    }
    adapter = by_setting.get('adapter')
    if adapter is not None and adapter.folder is not None and not adapter.missing:
        check_adapter(language, adapter.folder / ADAPTER_FILE)
    device, free_bytes, total_bytes = _device_memory(config)
    head_dim, num_kv_heads = attention_shape(language.config)
    warning = warning_of_window(config.stream.window_tokens, language.config)
    return Footprint(
        files=files,
        parameters=parameters,
        linear_parameters=_count_linear(language),
        frame_num_tokens=tower.frame_num_tokens,
        tokens_per_frame=tower.frame_num_tokens + int(use_patches),
        frame_fps=config.stream.frame_fps,
        window_tokens=config.stream.window_tokens or trained_positions(language.config),
        cache_values_per_token=2 * language.config.num_hidden_layers * num_kv_heads * head_dim,
        working_values=_working_values(language.config, vision.config, tower),
        dtype=str(resolve_dtype(config.model)).removeprefix('torch.'),
        device=device,
        device_bytes=total_bytes,
        device_free_bytes=free_bytes,
        notes=[*_notes(files, config), *([warning] if warning else [])],
    )


def _config_of(files: dict[str, ModelFiles], setting: str) -> Any:
    if setting not in files:
        raise CheckpointError(f'model.{setting} is not given')
    found = find_config(files[setting])
    if found is None:
        raise CheckpointError(
            f'model.{setting}: {files[setting].name} is not on this machine; name a folder or '
            f'run `hf download {files[setting].name} config.json`'
        )
    return found


def _notes(files: list[ModelFiles], config: VloConfig) -> list[str]:
    notes = [
        f'model.{part.setting}: {part.name} is not on this machine; loading it downloads it'
        for part in files
        if part.folder is None
    ]
    if not config.model.adapter and not config.model.connector:
        notes.append('neither adapter nor connector is given: it can be trained, not run')
    if not config.model.truthful:
        notes.append('a test model, its words mean nothing')
    return notes


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _count_linear(language: Any) -> int:
    """Parameters of the language model's linear layers; a head tied to the embeddings is none."""
    modules = [*language.model.modules()]
    if not language.config.tie_word_embeddings:
        modules.append(language.get_output_embeddings())
    return sum(_count(module) for module in modules if isinstance(module, nn.Linear))


def _working_values(language_config: Any, vision_config: Any, tower: VisionTower) -> int:
    """The largest intermediate results, counted twice: input and output live side by side."""
    patches = (vision_config.image_size // vision_config.patch_size) ** 2 + 1
    encode = FRAMES_PER_BATCH * patches * (vision_config.intermediate_size + 6 * tower.dim)
    positions = FRAMES_PER_BATCH * (tower.frame_num_tokens + 1)
    judge = positions * (language_config.intermediate_size + 6 * language_config.hidden_size)
    logits = FRAMES_PER_BATCH * language_config.vocab_size
    return int(2 * max(encode, judge + logits))


def _device_memory(config: VloConfig) -> tuple[str, int, int]:
    """Name, free and total bytes of the device that `config` takes here."""
    if resolve_device(config.model).type == 'cuda':
        free_bytes, total_bytes = torch.cuda.mem_get_info()
        return torch.cuda.get_device_name(), free_bytes, total_bytes
    page = os.sysconf('SC_PAGE_SIZE')
    return 'cpu', page * os.sysconf('SC_AVPHYS_PAGES'), page * os.sysconf('SC_PHYS_PAGES')
