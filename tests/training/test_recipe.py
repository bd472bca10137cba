# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes check themselves; those that ship load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from training.recipe_file import (
    RECIPE_FILE,
    as_yaml,
    changed_settings,
    load_recipe,
    recipe_from,
    write_recipe,
)
from vlo_ros.errors import ConfigError

FOLDER = Path(__file__).parents[2] / 'config' / 'training'
# Other programs keep their settings there too.
RECIPES = [path for path in sorted(FOLDER.glob('*.yaml')) if '\ntrain:' in path.read_text()]


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_shipped_recipe_loads(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe_from(yaml.safe_load(as_yaml(recipe)), 'written') == recipe


# Passes, peak rate and longest conversation of the published scripts; all else is the same.
PUBLISHED = {
    'ego4d_live1plus': (2, 2e-4, 1200),
    'ego4d_live1plus_augmented': (2, 2e-4, 1200),
    'ego4d_live1': (2, 2e-4, 7200),
    'ego4d_lta': (6, 2e-4, 1200),
    'coin': (5, 1e-4, 1200),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_values(name: str) -> None:
    recipe = load_recipe(FOLDER / f'{name}.yaml')
    num_epochs, rate, max_num_frames = PUBLISHED[name]
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (128, 256.0, 0.05)
    assert (recipe.train.num_epochs, recipe.train.learning_rate) == (num_epochs, rate)
    assert (recipe.train.bf16, recipe.train.tf32, recipe.train.seed) == (True, True, 42)
    assert recipe.data.augmentation == name.endswith('augmented')
    assert (recipe.train.batch_size, recipe.train.accumulation) == (1, 8)
    assert (recipe.train.schedule, recipe.train.warmup) == ('cosine', 0.05)
    assert (recipe.train.weight_decay, recipe.train.max_grad_norm) == (0.0, 1.0)
    assert recipe.train.gradient_checkpointing
    assert recipe.data.max_num_frames == max_num_frames


def test_launcher_files() -> None:
    """They are what the launchers accept."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import FullyShardedDataParallelPlugin

    fsdp = load_config_from_file(str(FOLDER / 'accelerate_fsdp2.yaml'))
    assert fsdp.fsdp_config['fsdp_version'] == 2
    assert load_config_from_file(str(FOLDER / 'accelerate_multi_gpu.yaml')).num_processes == 8
    known = set(FullyShardedDataParallelPlugin.__dataclass_fields__)
    renamed = {
        'fsdp_auto_wrap_policy': 'auto_wrap_policy',
        'fsdp_transformer_layer_cls_to_wrap': 'transformer_cls_names_to_wrap',
        'fsdp_offload_params': 'cpu_offload',
    }
    for name in fsdp.fsdp_config:
        assert renamed.get(name, name.removeprefix('fsdp_')) in {*known, 'version'}, name
    for stage in (1, 2):
        zero = json.loads((FOLDER / f'deepspeed_zero{stage}.json').read_text())
        assert zero['zero_optimization']['stage'] == stage
        assert zero['train_micro_batch_size_per_gpu'] == 'auto'


def test_commands_in_recipes_name_files_that_exist() -> None:
    for path in RECIPES:
        for name in re.findall(r'config/training/[\w./-]+', path.read_text()):
            assert (FOLDER.parents[1] / name).exists(), f'{path.name}: {name}'


def test_overrides() -> None:
    recipe = load_recipe(
        FOLDER / 'rendered_world.yaml',
        ['output=out', 'vision=tower', 'train.seed=7', 'data.features=[a, b]',
         'stages.1.num_steps=3'],
    )  # fmt: skip
    assert (recipe.output, recipe.model.vision, recipe.train.seed) == ('out', 'tower', 7)
    assert recipe.data.features == ('a', 'b')
    assert recipe.stages[1].num_steps == 3


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('train.sed=1', 'train.sed is unknown'),
        ('trian.seed=1', "section 'trian' is unknown"),
        ('train.learning_rate=-1', 'train.learning_rate'),
        ('train.optimizer=sgd', "'sgd' is not one of"),
        ('train.seed=many', 'train.seed'),
        ('seed', 'expected section.setting=value'),
        ('output.x=1', 'expected section.setting=value'),
        ('stages.first.num_steps=1', 'expected stages.NUMBER.setting=value'),
        ('stages.9.num_steps=1', r'there are \d stages'),
        ('lora.rank=4', 'nothing to adapt'),
        ('data.pack_tokens=100', 'not packed'),
    ],
)
def test_mistakes_are_one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(FOLDER / 'rendered_world.yaml', [override])
    assert '\n' not in str(caught.value)


def test_what_changed_is_named(tmp_path: Path) -> None:
    path = FOLDER / 'rendered_world.yaml'
    recipe = load_recipe(path, [f'output={tmp_path}'])
    write_recipe(recipe)
    assert changed_settings(tmp_path / RECIPE_FILE, recipe) == []
    # As a version wrote it that had fewer settings.
    begun = yaml.safe_load((tmp_path / RECIPE_FILE).read_text())
    del begun['train']['fp8'], begun['stages'][0]['position_gap']
    (tmp_path / RECIPE_FILE).write_text(yaml.safe_dump(begun))
    changes = ['output=x', 'train.keep_checkpoints=9', 'data.features=[a]', 'stages.1.num_steps=3']
    changed = changed_settings(tmp_path / RECIPE_FILE, load_recipe(path, changes))
    gap = recipe.stages[0].position_gap
    expected = ['data.features', *(['stages.0.position_gap'] if gap else []), 'stages.1.num_steps']
    assert changed == expected


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'none\.yaml'):
        load_recipe(tmp_path / 'none.yaml')
    path = tmp_path / 'bad.yaml'
    path.write_text('a: [')
    with pytest.raises(ConfigError, match='not valid YAML'):
        load_recipe(path)
