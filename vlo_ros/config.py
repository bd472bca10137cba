# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of the core, declared once: type, default, bounds and meaning.

The node declares its parameters from these dataclasses, the command line its options, training its
model section, and the documentation its tables. Knows nothing of ROS.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vlo_ros.errors import ConfigError, one_line

# VideoLLM-online (CVPR 2024), official implementation: part of what the published weights learned.
SYSTEM_PROMPT = (
    'A multimodal AI assistant is helping users with some activities. '
    'Below is their conversation, interleaved with the list of video frames received by the '
    'assistant.'
)

BUNDLED = 'bundled'
WEIGHT_PATHS = ('llm', 'vision', 'adapter', 'connector')
T = TypeVar('T')


def setting(
    default: Any,
    doc: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[Any, ...] | None = None,
    live: bool = False,
) -> Any:
    """Declare one setting.

    Args:
        default: Value when nothing is given.
        doc: One line for people: meaning and unit.
        ge: Least value accepted.
        le: Greatest value accepted.
        choices: The only values accepted.
        live: Whether a running stream takes a new value at once.
    """
    metadata = {'doc': doc, 'ge': ge, 'le': le, 'choices': choices, 'live': live}
    return field(default=default, metadata=metadata)


def check_value(section: str, spec: dataclasses.Field[Any], value: Any) -> None:
    """Raise ConfigError when `value` is outside what the setting `spec` declares."""
    name = f'{section}.{spec.name}'
    if value is None:
        return
    choices = spec.metadata.get('choices')
    if choices is not None and value not in choices:
        accepted = ', '.join(repr(choice) for choice in choices)
        raise ConfigError(f'{name}: {value!r} is not one of {accepted}')
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, greatest = spec.metadata.get('ge'), spec.metadata.get('le')
    # `not (a <= b)` rather than `a > b`, so that nan is refused too.
    if (least is not None and not (least <= value)) or (
        greatest is not None and not (value <= greatest)
    ):
        raise ConfigError(f'{name}: {value} is outside {least} to {greatest}')


class Checked:
    """Checks types and bounds of every setting when the dataclass is made."""

    section = ''

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for spec in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            coerced = _coerce(f'{self.section}.{spec.name}', hints[spec.name], value)
            if coerced is not value:
                object.__setattr__(self, spec.name, coerced)
            check_value(self.section, spec, coerced)


@dataclass(frozen=True)
class ModelConfig(Checked):
    """Which weights, and how they are held."""

    section = 'model'

    llm: str = setting('', 'language model: folder or hub name')
    vision: str = setting('', 'vision tower: folder or hub name')
    adapter: str | None = setting(
        None, 'LoRA and connector in the published layout: folder or hub name'
    )
    connector: str | None = setting(
        None, 'connector weights (.safetensors) when there is no adapter'
    )
    variant: str = setting(
        'live1+',
        'frame tokens: live1+ is CLS + 3x3 pooled patches with interval ",", live1 is CLS alone',
        choices=('live1+', 'live1'),
    )
    device: str = setting(
        'auto', 'auto takes cuda where there is one', choices=('auto', 'cpu', 'cuda')
    )
    dtype: str = setting(
        'auto',
        'auto is bfloat16 on cuda, float32 on cpu',
        choices=('auto', 'float32', 'bfloat16', 'float16'),
    )
    quantization: str = setting(
        'none',
        'quantization of the language model (needs torchao): int8 and int4 round its weights, '
        'float8 also what its layers are fed',
        choices=('none', 'int8', 'int4', 'float8'),
    )
    threads: int = setting(
        0,
        'processor threads that encoder and decoder share on the CPU; 0 takes the number of cores '
        'or OMP_NUM_THREADS',
        ge=0,
        le=1024,
    )
    llm_revision: str | None = setting(None, 'hub commit of the language model')
    vision_revision: str | None = setting(None, 'hub commit of the vision tower')
    adapter_revision: str | None = setting(None, 'hub commit of the adapter')
    truthful: bool = setting(
        True, 'false marks weights whose words mean nothing (test models); people are told so'
    )


@dataclass(frozen=True)
class StreamConfig(Checked):
    """How one stream is sampled, judged and remembered."""

    section = 'stream'

    frame_fps: float = setting(
        2.0, 'frames judged per second of header stamps', ge=0.05, le=120.0, live=True
    )
    silence_threshold: float = setting(
        0.725,
        'p(interval) needed to stay silent; above 1 it speaks after every frame',
        ge=0.0,
        le=1.01,
        live=True,
    )
    resume_silence_threshold: float | None = setting(
        None,
        'p(interval) needed to fall silent on the frame right after a response; unset means '
        'silence_threshold',
        ge=0.0,
        le=1.01,
        live=True,
    )
    max_new_tokens: int = setting(100, 'longest response, in tokens', ge=1, le=4096, live=True)
    protocol: str = setting(
        'template',
        'template feeds what training fed; official repeats the published live loop, oddities too',
        choices=('template', 'official'),
    )
    system_prompt: str = setting(SYSTEM_PROMPT, 'first turn of every stream; applied at a reset')
    instruction: str = setting(
        '', 'standing instruction after the first frame, kept for ever; applied at a reset'
    )
    window_tokens: int = setting(
        0,
        'positions kept in the KV cache; 0 takes what the language model was trained for, more is '
        'a warning',
        ge=0,
        le=1_048_576,
    )
    chunk: str = setting(
        'auto',
        'frames judged in one forward: a number, or auto to follow backlog and speaking rate',
    )
    backlog_frames: int = setting(
        256, 'encoded frames that may wait; when full the oldest is dropped', ge=1, le=100_000
    )
    backlog_queries: int = setting(
        64, 'queries that may wait; when full a new one is refused', ge=1, le=10_000
    )
    max_query_chars: int = setting(2000, 'longest query accepted, in characters', ge=1, le=100_000)
    interrupt: bool = setting(False, 'a query stops the sentence being decoded', live=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chunk != 'auto' and not (self.chunk.isdecimal() and 1 <= int(self.chunk) <= 256):
            raise ConfigError(f"stream.chunk: {self.chunk!r} is neither 'auto' nor 1 to 256")

    def threshold_after(self, spoke: bool) -> float:
        """Silence threshold of a frame, given whether a response came right before it."""
        if spoke and self.resume_silence_threshold is not None:
            return self.resume_silence_threshold
        return self.silence_threshold


@dataclass(frozen=True)
class VloConfig:
    """One model with its stream defaults: the content of a model YAML."""

    model: ModelConfig = field(default_factory=ModelConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)


def load_config(name: str | Path, **changes: Any) -> VloConfig:
    """Read a model YAML, or the model inside the package when `name` is 'bundled'.

    Args:
        name: Path of a YAML with sections `model` and `stream`, or 'bundled'. Relative paths in it
            start at the YAML's own folder.
        **changes: Single settings that override the file, e.g. `silence_threshold=0.5`. Relative
            paths among them start at the working directory.

    Raises:
        ConfigError: The file is missing, is not YAML, or a setting is unknown or out of range.
    """
    path = bundled_yaml() if str(name) == BUNDLED else Path(name).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'model YAML {path}: {error.strerror or error}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'model YAML {path}: not valid YAML: {one_line(error)}') from error
    return config_from(content, path, **changes)


def config_from(content: Any, path: Path, **changes: Any) -> VloConfig:
    """Build a VloConfig from YAML `content`; `path` names it in errors and anchors paths."""
    if not isinstance(content, dict):
        raise ConfigError(f"model YAML {path}: expected the sections 'model' and 'stream'")
    strange = sorted(str(name) for name in set(content) - {'model', 'stream'})
    if strange:
        raise ConfigError(
            f"model YAML {path}: {strange[0]!r} is not among the sections 'model' and 'stream'"
        )
    sections = {name: {} if section is None else section for name, section in content.items()}
    in_file = [name for name in WEIGHT_PATHS if name not in changes]
    model = section_from(ModelConfig, sections.get('model', {}), str(path), changes)
    stream = section_from(StreamConfig, sections.get('stream', {}), str(path), changes)
    refuse_unknown(changes)
    return VloConfig(anchor_paths(model, path.parent, in_file), stream)


def refuse_unknown(changes: Mapping[str, Any]) -> None:
    """Raise ConfigError for settings that no section has taken."""
    if changes:
        kinds = (ModelConfig, StreamConfig)
        known = ', '.join(spec.name for kind in kinds for spec in dataclasses.fields(kind))
        raise ConfigError(f'unknown setting {min(changes)!r}; known: {known}')


def section_from(kind: type[T], content: Any, where: str, changes: dict[str, Any]) -> T:
    """Build one section of settings; what it takes out of `changes` overrides `content`."""
    names = [spec.name for spec in dataclasses.fields(kind)]  # type: ignore[arg-type]
    section = getattr(kind, 'section', kind.__name__)
    if not isinstance(content, Mapping):
        raise ConfigError(f'{where}: section {section!r} must be a mapping of settings')
    values = dict(content)
    for name in list(changes):
        if name in names:
            values[name] = changes.pop(name)
    unknown = sorted(str(name) for name in values if name not in names)
    if unknown:
        raise ConfigError(f'{where}: {section}.{unknown[0]} is unknown; known: {", ".join(names)}')
    return kind(**values)


def anchor_paths(
    model: ModelConfig, folder: Path, names: Sequence[str] = WEIGHT_PATHS
) -> ModelConfig:
    """Make relative weight paths start at `folder`; what is no path there stays a hub name.

    Args:
        model: Settings with paths.
        folder: Where relative paths start.
        names: Which settings to look at; paths typed on a command line start where it is typed.
    """
    changes: dict[str, Any] = {}
    for name in names:
        value = getattr(model, name)
        if not value:
            continue
        expanded = Path(value).expanduser()
        candidate = expanded if expanded.is_absolute() else folder / expanded
        if candidate.exists() or value.startswith(('.', '/', '~')) or name == 'connector':
            changes[name] = str(candidate)
    return dataclasses.replace(model, **changes)


def bundled_yaml() -> Path:
    """YAML of the model that ships inside the package."""
    return Path(str(importlib.resources.files('vlo_ros'))) / 'bundled' / 'model.yaml'


def _coerce(name: str, hint: Any, value: Any) -> Any:
    """Return `value` as the declared type, or raise ConfigError naming the setting."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(kind for kind in kinds if kind is not type(None))
    kind = typing.get_origin(kind) or kind  # tuple[str, ...]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ConfigError(f'{name}: the number is too large') from error
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # YAML reads `chunk: 8` as a number
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ConfigError(f'{name}: {value!r} is not a {kind.__name__}')
