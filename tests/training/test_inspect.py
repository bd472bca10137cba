# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that shows what is learned, on the parity fixtures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file
from typer import Typer
from typer.testing import CliRunner

from tests.training.golden import GOLDEN, load_golden
from training.inspect import main

app = Typer()
app.command()(main)
NAMES = ('sampled_0', 'partial_learn', 'skipped_turn_then_late')


def write_samples(folder: Path, variant: str, frames: str) -> Path:
    golden = load_golden(variant)
    samples = [
        {
            'messages': golden.conversation(name)['conversation'],
            'frames': frames,
            'frame_index': golden.conversation(name)['frame_index'],
        }
        for name in NAMES
    ]
    path = folder / 'c.json'
    path.write_text(json.dumps(samples))
    return path


def run(*options: str):
    return CliRunner().invoke(app, options, catch_exceptions=False)


def weights(variant: str) -> list[str]:
    folder = GOLDEN / variant
    return ['--llm', str(folder / 'llm'), '--adapter', str(folder / 'checkpoint')]


def check(variant: str, path: Path) -> None:
    for name, found in zip(NAMES, json.loads(path.read_text()), strict=True):
        expected = load_golden(variant).conversation(name)
        assert found['text'] == expected['text']
        assert found['input_ids'] == expected['input_ids']
        assert found['labels'] == expected['labels']
        assert found['loss'] == pytest.approx(expected['loss'], abs=1e-4)
        for threshold in ('0.0', '0.725'):
            wanted = dict(expected['stream_evaluate'][threshold])
            wanted.pop('forward_passes')
            assert found['metrics'][threshold] == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_from_images(tmp_path: Path) -> None:
    folder = GOLDEN / 'live1plus'
    samples = write_samples(tmp_path, 'live1plus', str(folder / 'frames.npz'))
    output = tmp_path / 'out.json'
    result = run(
        *weights('live1plus'), '--vision', str(folder / 'vision'),
        '--conversations', str(samples), '--output', str(output),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    check('live1plus', output)


def test_from_features_without_a_tower(tmp_path: Path) -> None:
    save_file({'features': load_golden('live1').features}, tmp_path / 'bank.safetensors')
    samples = write_samples(tmp_path, 'live1', 'bank.safetensors')
    output = tmp_path / 'out.json'
    result = run(
        *weights('live1'), '--variant', 'live1',
        '--conversations', str(samples), '--output', str(output),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    check('live1', output)


def test_prints_what_is_learned(tmp_path: Path) -> None:
    save_file({'features': load_golden('live1plus').features}, tmp_path / 'bank.safetensors')
    samples = write_samples(tmp_path, 'live1plus', 'bank.safetensors')
    result = run(*weights('live1plus'), '--conversations', str(samples))
    assert result.exit_code == 0, result.output
    assert 'You pour' in result.output
    assert 'positions are learned' in result.output
    assert 'threshold 0.725' in result.output


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    missing = tmp_path / 'missing.json'
    assert run(*weights('live1plus'), '--conversations', str(missing)).exit_code == 1
    images = tmp_path / 'images.npz'
    np.savez(images, frames=np.zeros((1, 3, 96, 96), np.uint8))
    path = tmp_path / 'c.json'
    path.write_text(json.dumps([{'messages': [], 'frames': str(images)}]))
    result = run(*weights('live1plus'), '--conversations', str(path))
    assert result.exit_code == 1
    assert '--vision' in result.output
