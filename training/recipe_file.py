# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes as YAML: read with overrides, written whole, compared with the one a run was begun with.

recipe = load_recipe('config/training/rendered_world.yaml', ['output=out', 'train.seed=7'])
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from training.recipe import (
    DataRecipe,
    LoraRecipe,
    ModelRecipe,
    Recipe,
    ScratchRecipe,
    StageRecipe,
    TrainRecipe,
)
from training.whole_files import write_text
from vlo_ros.config import StreamConfig, section_from
from vlo_ros.errors import ConfigError, one_line

RECIPE_FILE = 'recipe.yaml'
# What a run that goes on may do otherwise: none of it changes what is learned.
_FREE = {
    'output', 'data.in_memory', 'data.num_workers', 'train.log_every_steps',
    'train.save_every_steps', 'train.save_every_minutes', 'train.keep_checkpoints',
    'train.report_to',
}  # fmt: skip
_SECTIONS = {
    'model': ModelRecipe,
    'scratch': ScratchRecipe,
    'lora': LoraRecipe,
    'data': DataRecipe,
    'train': TrainRecipe,
    'stream': StreamConfig,
}


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and override single settings.

    Args:
        path: YAML file.
        overrides: `section.setting=value` or `output=value`; values are YAML. `vision=` and
            `llm=` are short for `model.vision=` and `model.llm=`.

    Raises:
        ConfigError: The file is missing or not YAML, or a setting is unknown or out of range.
    """
    values = _read(path)
    for override in overrides:
        _override(values, override)
    return recipe_from(values, str(path))


def recipe_from(content: Mapping[str, Any], where: str) -> Recipe:
    """Build a recipe from parsed YAML; `where` names it in errors."""
    known = [*_SECTIONS, 'stages', 'output']
    unknown = sorted(set(map(str, content)) - set(known))
    if unknown:
        raise ConfigError(f'{where}: section {unknown[0]!r} is unknown; known: {", ".join(known)}')
    values: dict[str, Any] = {'output': str(content.get('output') or '')}
    for name, kind in _SECTIONS.items():
        values[name] = section_from(kind, _frozen(content.get(name) or {}), where, {})
    stages = content.get('stages') or []
    if not isinstance(stages, Sequence):
        raise ConfigError(f'{where}: stages must be a list')
    values['stages'] = tuple(
        section_from(StageRecipe, _frozen(stage), where, {}) for stage in stages
    )
    return Recipe(**values)


def as_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults written out."""
    return str(yaml.safe_dump(_plain(recipe), sort_keys=False))


def write_recipe(recipe: Recipe, *, accept_changes: bool = False) -> None:
    """Write the recipe of a run into its output folder.

    Args:
        recipe: The recipe; `output` names the folder.
        accept_changes: Replace the recipe of a run that was begun with other settings.

    Raises:
        ConfigError: The folder holds a run that was begun with other settings.
        VloError: The file cannot be written.
    """
    if not accept_changes:
        check_same(recipe, 'name another output, or accept the change (--accept-changes)')
    write_text(Path(recipe.output) / RECIPE_FILE, as_yaml(recipe))


def check_same(recipe: Recipe, remedy: str) -> None:
    """Refuse to go on with a run that was begun otherwise.

    Args:
        recipe: The recipe; `output` names the folder that may hold a run.
        remedy: What the person can do, for the error.

    Raises:
        ConfigError: The run there was begun with other settings.
    """
    path = Path(recipe.output) / RECIPE_FILE
    changed = changed_settings(path, recipe)
    if changed:
        raise ConfigError(f'{path}: begun with other settings: {", ".join(changed)}; {remedy}')


def changed_settings(path: Path, recipe: Recipe) -> list[str]:
    """Names of the settings that decide what is learned and differ from those in a file.

    What the file does not name has its default; where there is no file nothing differs.

    Raises:
        ConfigError: The file cannot be read.
    """
    if not path.exists():
        return []
    content = _read(path)
    begun = {name: {**_plain(kind()), **content.get(name, {})} for name, kind in _SECTIONS.items()}
    begun['stages'] = [{**_plain(StageRecipe()), **one} for one in content.get('stages', [])]
    before, now = _flat(begun), _flat(_plain(recipe))
    return sorted(
        name for name in before.keys() | now.keys()
        if name not in _FREE and before.get(name) != now.get(name)
    )  # fmt: skip


def _plain(declared: Any) -> dict[str, Any]:
    """A dataclass as YAML has it: mappings, lists, numbers and texts."""
    plain: dict[str, Any] = _listed(dataclasses.asdict(declared))
    return plain


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _listed(one) for name, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, list | tuple) else value


def _flat(content: Any, name: str = '') -> dict[str, Any]:
    """{section: {setting: value}} -> {section.setting: value}; stages are numbered."""
    if isinstance(content, Mapping):
        items = list(content.items())
    elif isinstance(content, list) and content and isinstance(content[0], Mapping):
        items = list(enumerate(content))
    else:
        return {name: content}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat.update(_flat(value, f'{name}.{key}' if name else str(key)))
    return flat


def _read(path: str | Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8')) or {}
    except OSError as error:
        raise ConfigError(f'recipe {path}: {error.strerror or error}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'recipe {path}: not valid YAML: {one_line(error)}') from error
    if not isinstance(content, Mapping):
        raise ConfigError(f'recipe {path}: expected sections of settings')
    return dict(content)


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition('=')
    name = {'vision': 'model.vision', 'llm': 'model.llm'}.get(name, name)
    section, dot, key = name.partition('.')
    if not equals or (dot and section == 'output') or not (dot or name in ('output', 'stages')):
        raise ConfigError(f'{override!r}: expected section.setting=value')
    try:
        value = yaml.safe_load(text) if text else ''
    except yaml.YAMLError as error:
        raise ConfigError(f'{override!r}: the value is not valid YAML') from error
    if not dot:
        values[name] = value
    elif section == 'stages':
        number, _, setting = key.partition('.')
        if not number.isdigit():
            raise ConfigError(f'{override!r}: expected stages.NUMBER.setting=value')
        index = int(number)
        stages = [dict(stage) for stage in values.get('stages') or []]
        if index >= len(stages):
            raise ConfigError(f'{override!r}: there are {len(stages)} stages, counted from 0')
        stages[index][setting] = value
        values['stages'] = stages
    else:
        values[section] = {**(values.get(section) or {}), key: value}


def _frozen(section: Any) -> Any:
    if not isinstance(section, Mapping):
        return section
    return {name: tuple(v) if isinstance(v, list) else v for name, v in section.items()}
