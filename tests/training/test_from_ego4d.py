# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/training.md, start to end, on the rendered world in Ego4D's layout."""

from __future__ import annotations

import importlib
import json
import math
import re
import shlex
import string
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.training.golden import GOLDEN
from training.corpus import read_conversations
from training.rendered_world.export import Video, export_ego4d
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.rendered_world import Episode

ROOT = Path(__file__).parents[2]
MODEL = GOLDEN / 'live1plus'
# What makes the published recipe small enough: nothing else of the commands is changed.
SMALL = [
    f'model.llm={MODEL / "llm"}', f'model.vision={MODEL / "vision"}', 'model.dtype=float32',
    'lora.rank=2', 'data.num_workers=0', 'data.max_num_frames=40', 'train.num_epochs=1',
    'train.accumulation=4', 'train.bf16=false', 'train.gradient_checkpointing=false',
    'train.deepspeed=', 'train.device=cpu', 'train.threads=1',
]  # fmt: skip


def documented() -> list[str]:
    """Lines of the block of commands, continued ones joined, comments left out."""
    page = (ROOT / 'docs' / 'training.md').read_text()
    block = page.partition('## Start to end')[2].partition('```bash\n')[2].partition('```')[0]
    lines = block.replace('\\\n', ' ').splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith('#')]


def run(module: str, arguments: list[str]) -> str:
    program = importlib.import_module(module)
    if hasattr(program, '__path__'):
        program = importlib.import_module(f'{module}.__main__')
    app = getattr(program, 'app', None)
    if app is None:
        app = typer.Typer()
        app.command()(program.main)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f'{module} {arguments}: {result.output}'
    return result.output


@pytest.fixture
def ego4d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like that of somebody with access: annotations and videos, nothing else."""
    videos = [Video(Episode(seed, 'train'), 12.0, 'train') for seed in (1, 2)]
    videos.append(Video(Episode(1, 'new'), 12.0, 'val'))
    export_ego4d(tmp_path, videos, None, video_size=32)
    for path in (tmp_path / 'datasets/ego4d/v2').glob('*_metadata.json'):
        path.unlink()
    (tmp_path / 'config').symlink_to(ROOT / 'config')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_commands_lead_from_videos_to_a_model(ego4d: Path) -> None:
    variables: dict[str, str] = {}
    ran = []
    for line in documented():
        if found := re.fullmatch(r'(\w+)=(\S+)', line.strip()):
            variables[found[1]] = string.Template(found[2]).substitute(variables)
            if found[1] == 'MODEL':
                variables['MODEL'] = str(MODEL / 'model.yaml')
            continue
        words = shlex.split(string.Template(line).substitute(variables))
        if words[0] == 'ros2':
            assert words[-1] == f'model:={variables["OUT"]}/model.yaml'
            continue
        module, arguments = words[words.index('-m') + 1], words[words.index('-m') + 2 :]
        if module == 'training.finetune':
            arguments += SMALL
        elif module in ('training.preprocess', 'training.inspect', 'training.evaluate'):
            arguments += ['--device', 'cpu']
        run(module, arguments)
        ran.append(module.removeprefix('training.'))
    assert list(dict.fromkeys(ran)) == [
        'preprocess', 'datasets', 'inspect', 'finetune', 'evaluate',
    ]  # fmt: skip
    out = ego4d / variables['OUT']
    load_model(load_config(out / 'model.yaml', device='cpu').model)
    scores = json.loads((ego4d / 'scores.json').read_text())
    assert scores['num_scenes'] == 1 and scores['num_narrations'] > 0
    steps = json.loads((out / 'training.json').read_text())['steps']
    learned = read_conversations(['train.json', 'livechat.json', 'robustness.json'])
    assert steps == math.ceil(len(learned) / 4) > 0
