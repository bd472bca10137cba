# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration of learning, from its command to its table."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from training.learn_demo import exact_by_kind, main

MODEL_YAML = Path(__file__).parents[1] / 'golden' / 'live1plus' / 'model.yaml'


def test_notes_are_counted_by_what_they_are_about() -> None:
    lines = [
        {'truth': 'You lift the orange cup.', 'exact': True},
        {'truth': 'You drop the pink.', 'exact': False},
        {'truth': 'You lift the red cup.', 'exact': True},
        {'truth': None, 'exact': False},
    ]
    assert exact_by_kind(lines) == {'new': (1, 2), 'other': (1, 1)}


def test_one_command_records_learns_and_compares(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    arguments = [
        '--output', str(tmp_path), '--model', str(MODEL_YAML), '--seconds', '24', '--steps', '1',
        '--batch', '1', '--window', '8',
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert 'with a colour it had never seen' in result.output
    found = json.loads((tmp_path / 'demo.json').read_text())
    of_all = sum(number for _, number in found['exact_by_kind'][0].values())
    assert of_all == found['before']['num_narrations'] > 0
    assert Path(found['model']).is_file()
