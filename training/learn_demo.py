# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `vlo learn` brings on things that the model has never seen, in one command.

    python -m training.learn_demo --output DIR

Two kitchens of the rendered world are recorded as bags with notes. Green, blue and white things
are orange, brown and pink there: neither the colours nor the words occur in the training of the
bundled model. The last quarter of each recording is scored, before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from training.learn import learn, print_table
from training.noted_recordings import LearnSettings
from training.rendered_world.recoloured import NEW_COLOURS, RecolouredEpisode
from training.whole_files import partial_path, write_json
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.rendered_world.bag import write_bag

SEEDS = (900_001, 900_002)  # never rendered for training
PICTURE_SIZE = 96
NEW_WORDS = {name for name, _ in NEW_COLOURS.values()}


def record(folder: Path, seconds: float) -> list[Path]:
    """Write the two bags, unless they are there."""
    bags = []
    folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        bag = folder / f'kitchen_{seed}'
        if not bag.exists():
            partial = partial_path(bag)
            write_bag(partial, RecolouredEpisode(seed, 'new'), seconds, PICTURE_SIZE)
            partial.rename(bag)
        bags.append(bag)
    return bags


def exact_by_kind(transcript: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Notes said word for word in time, and all notes: with a new colour, and the others."""
    counts = {'new': [0, 0], 'other': [0, 0]}
    for line in transcript:
        if line['truth'] is not None:
            words = set(line['truth'].lower().rstrip('.').split())
            count = counts['new' if words & NEW_WORDS else 'other']
            count[0] += line['exact']
            count[1] += 1
    return {kind: (exact, of_all) for kind, (exact, of_all) in counts.items()}


def print_kinds(console: Console, kinds: Sequence[Mapping[str, tuple[int, int]]]) -> None:
    """Before and after, new things and others apart."""
    table = Table(title='notes said word for word, in time')
    for name in ('', 'before', 'after'):
        table.add_column(name, justify='right' if name else 'left')
    for kind, what in (('new', 'with a colour it had never seen'), ('other', 'the others')):
        table.add_row(what, *(f'{one[kind][0]} of {one[kind][1]}' for one in kinds))
    console.print(table)


@tells_errors_in_one_line
def main(
    output: Annotated[Path, typer.Option(help='folder for bags, features and the model')],
    model: Annotated[str, typer.Option(help='model YAML to begin with')] = BUNDLED,
    seconds: Annotated[float, typer.Option(help='length of each recording', min=20)] = 360.0,
    steps: Annotated[int, typer.Option(help='optimizer steps', min=1)] = 45,
    batch: Annotated[int, typer.Option(help='windows per step', min=1)] = 6,
    window: Annotated[int, typer.Option(help='frames of a window', min=2)] = 64,
    threads: Annotated[int, typer.Option(help='CPU threads', min=1)] = 1,
    seed: Annotated[int, typer.Option(help='of everything drawn in learning')] = 1,
) -> None:
    """Record two bags, learn from them, and show what that changed."""
    settings = LearnSettings(
        load_config(model, device='cpu'),
        output / 'learned',
        steps=steps,
        batch=batch,
        window=window,
        threads=threads,
        seed=seed,
    )
    console = Console()
    bags = record(output, seconds)
    result = learn(bags, [], settings, console)
    print_table(console, result)
    kinds = [exact_by_kind(result[name]['transcript']) for name in ('before', 'after')]
    print_kinds(console, kinds)
    write_json(output / 'demo.json', {**result, 'exact_by_kind': kinds}, indent=1)
    console.print(f'{result["minutes"]} minutes')


if __name__ == '__main__':
    typer.run(main)
