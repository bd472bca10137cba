# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands that make the bundled model are the ones that exist, in an order that works."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from training.recipe_file import load_recipe
from training.rendered_world import make
from vlo_ros.config import bundled_yaml


def test_every_command_reads_what_an_earlier_one_writes(tmp_path: Path) -> None:
    tower, *feature_sets, language, questions = make.commands(tmp_path, workers=1)
    written = [tower[tower.index('--output') + 1]]
    for command in feature_sets:
        assert command[command.index('--tower') + 1] == f'{written[0]}/tower'
        written.append(command[command.index('--output') + 1])
    recipes = [load_recipe(command[1], command[2:]) for command in (language, questions)]
    for recipe in recipes:
        assert list(recipe.data.features) == written[1:]
        assert list(recipe.data.conversations) == [
            f'{folder}/{name}.json' for folder in written[1:] for name in make.CONVERSATIONS
        ]
        for stage in recipe.stages:
            assert set(stage.files) <= set(make.CONVERSATIONS)
        assert recipe.model.vision == f'{written[0]}/tower' and recipe.output
    first, second = recipes
    assert second.model.llm == f'{first.output}/llm' and not first.model.llm
    assert second.model.connector == f'{first.output}/connector.safetensors'


def test_no_episode_is_encoded_twice() -> None:
    first, second = make.FEATURE_SETS
    assert first.first_seed + 32 * first.num_shards <= second.first_seed


def test_the_package_ships_what_is_gathered(tmp_path: Path) -> None:
    language = tmp_path / 'questions'
    for name in make.MODEL_FILES:
        path = language / name
        if Path(name).suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        else:
            path.mkdir(parents=True)
            (path / 'config.json').write_text(name)
    make.gather(tmp_path)
    assert {path.name for path in (tmp_path / 'model').iterdir()} == set(make.MODEL_FILES)
    assert set(make.MODEL_FILES) <= {path.name for path in bundled_yaml().parent.iterdir()}


def test_a_dry_run_prints_the_commands(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(make.main)
    result = CliRunner().invoke(app, ['--output', str(tmp_path / 'new'), '--dry-run'])
    assert result.exit_code == 0, result.output
    for module in ('train_tower', 'features', 'finetune', 'evaluate'):
        assert module in result.output
    assert not (tmp_path / 'new').exists()


def test_a_failing_command_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [['training.finetune', str(tmp_path / 'missing.yaml')], ['training.evaluate']]
    monkeypatch.setattr(make, 'commands', lambda output, workers: plan)
    app = typer.Typer()
    app.command()(make.main)
    result = CliRunner().invoke(app, ['--output', str(tmp_path / 'new')])
    assert result.exit_code == 1
    assert 'training.finetune ended with status 1' in result.output
    assert 'training.evaluate' not in result.output
