# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the bundled model, from nothing to its scores, and goes on where it was stopped.

    python -m training.rendered_world.make --output DIR

Runs the commands of docs/training.md one after the other and prints each: the vision tower, the
features of episodes that it has not seen, the language model (first from nothing, then with much
practice in answering), the scores on the held-out splits.
`DIR/model` is then what `vlo_ros/bundled` holds.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.errors import VloError

CONFIG = Path(__file__).parents[2] / 'config' / 'training'
CONVERSATIONS = ('train', 'train_practice', 'train_drill')
MODEL_FILES = ('model.yaml', 'connector.safetensors', 'llm', 'vision')
SCORED_SEEDS = '1000:1040'


@dataclass(frozen=True)
class FeatureSet:
    """Episodes to encode; lengths in seconds, drawn with odds."""

    name: str
    first_seed: int
    num_shards: int
    lengths_s: tuple[int, ...]
    odds: tuple[float, ...]


# Long ones for what lasts, and many short ones, since distinct worlds teach more than frames.
FEATURE_SETS = (
    FeatureSet('long', 50_000_000, 56, (16, 32, 64, 120, 240), (0.25, 0.35, 0.2, 0.12, 0.08)),
    FeatureSet('short', 50_010_000, 96, (24, 48, 64), (0.4, 0.4, 0.2)),
)


def commands(output: Path, workers: int) -> list[list[str]]:
    """What to run, in order; every command continues what an earlier start left unfinished."""
    tower = output / 'tower' / 'tower'
    plan = [
        ['training.rendered_world.train_tower', str(CONFIG / 'rendered_world_tower.yaml'),
         '--output', str(output / 'tower')],
    ]  # fmt: skip
    folders = []
    for one in FEATURE_SETS:
        folder = output / 'features' / one.name
        folders.append(folder)
        plan.append(
            ['training.rendered_world.features', '--tower', str(tower), '--output', str(folder),
             '--first-seed', str(one.first_seed), '--shards', str(one.num_shards),
             '--lengths', *map(str, one.lengths_s), '--odds', *map(str, one.odds),
             '--workers', str(workers)]
        )  # fmt: skip
    conversations = [str(folder / f'{name}.json') for folder in folders for name in CONVERSATIONS]
    data = [
        f'vision={tower}',
        f'data.features=[{",".join(map(str, folders))}]',
        f'data.conversations=[{",".join(conversations)}]',
    ]
    first, second = output / 'language', output / 'questions'
    plan.append(
        ['training.finetune', str(CONFIG / 'rendered_world.yaml'), f'output={first}', *data]
    )
    plan.append(
        ['training.finetune', str(CONFIG / 'rendered_world_questions.yaml'), f'output={second}',
         f'llm={first / "llm"}', f'model.connector={first / "connector.safetensors"}', *data]
    )  # fmt: skip
    return plan


def scoring(output: Path) -> list[list[str]]:
    """The commands whose figures the model card has."""
    model = str(output / 'model' / 'model.yaml')
    return [
        ['training.evaluate', '--model', model, '--world-seeds', SCORED_SEEDS, '--split', split,
         '--minutes', '0.6', '--output', str(output / 'scores' / f'{split}.json')]
        for split in ('new', 'background', 'pairs')
    ]  # fmt: skip


def gather(output: Path) -> None:
    """Copy what the package ships."""
    model = output / 'model'
    model.mkdir(exist_ok=True)
    for name in MODEL_FILES:
        source = output / 'questions' / name
        if source.is_dir():
            shutil.copytree(source, model / name, dirs_exist_ok=True)
        else:
            shutil.copy(source, model / name)


@tells_errors_in_one_line
def main(
    output: Annotated[Path, typer.Option(help='folder for everything that is made')],
    workers: Annotated[int, typer.Option(help='processes that render and encode', min=1)] = 2,
    dry_run: Annotated[bool, typer.Option(help='print the commands, run none')] = False,
) -> None:
    """Make the bundled model."""
    console = Console()

    def run(command: list[str]) -> None:
        console.print(
            f'python -m {shlex.join(command)}', style='bold', markup=False, soft_wrap=True
        )
        if not dry_run:
            status = subprocess.run([sys.executable, '-m', *command]).returncode
            if status:
                raise VloError(f'{command[0]} ended with status {status}')

    output = output.resolve()
    for command in commands(output, workers):
        run(command)
    if not dry_run:
        gather(output)
    for command in scoring(output):
        run(command)


if __name__ == '__main__':
    typer.run(main)
