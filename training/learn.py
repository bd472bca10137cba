# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Your own recordings to a better model, in one command: `vlo learn BAG... --output DIR`.

    bags -> features -> conversations from notes -> LoRA -> scores before and after -> model YAML

Run again after an interruption, it goes on where it was.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from training.datasets.ego4d_refined_narration_stream import INSTRUCTIONS
from training.evaluate import evaluate
from training.finetune import finetune
from training.noted_recordings import (
    TEST_FILE,
    TRAIN_FILE,
    LearnSettings,
    encode,
    split_conversations,
)
from training.output import MODEL_YAML
from training.preprocess.jobs import find_jobs
from training.recipe import (
    DataRecipe,
    LoraRecipe,
    ModelRecipe,
    Recipe,
    StageRecipe,
    TrainRecipe,
)
from training.recipe_file import check_same
from training.scenes import stored_scenes
from training.whole_files import write_json
from vlo_ros.checkpoint import load_model, local_folder, read_config, resolve_device
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.errors import ConfigError

# Scores of the table, in its order; those of evaluate.py.
SHOWN = {
    'speak_precision_1s': 'spoke when something was noted (precision)',
    'speak_recall_1s': 'noted moments at which it spoke (recall)',
    'exact_of_all': 'notes said word for word, in time',
    'word_f1': 'words shared with the note (F1)',
    'silence_kept': 'quiet frames kept quiet',
    'time_error_s': 'time error, s',
    'queries_right': 'questions answered word for word',
}
# Wider models learn slower: the published recipe's rate from here on.
WIDE = 1024


def learn(
    recordings: Sequence[Path],
    tests: Sequence[Path],
    settings: LearnSettings,
    console: Console,
) -> dict[str, Any]:
    """Learn from recordings.

    Args:
        recordings: Bags, videos or folders of them, with notes.
        tests: Recordings that are scored and not learned from; none: the end of each recording.
        settings: How.
        console: Told of every stage.

    Returns:
        What `learn.json` holds: the scores before and after, and what was learned from.

    Raises:
        VloError: Something is missing, damaged or does not fit.
    """
    began = time.monotonic()
    config, output = settings.config, settings.output
    instruction = config.stream.instruction or INSTRUCTIONS[0]
    stream = dataclasses.replace(config.stream, instruction=instruction)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    jobs = find_jobs([*recordings, *tests], settings.topic)
    if settings.notes and len(settings.notes) != len(jobs):
        raise ConfigError(f'--notes: {len(settings.notes)} files for {len(jobs)} recordings')
    test_jobs = {job.uid for job in find_jobs(tests, settings.topic)} if tests else set()
    console.print(f'[bold]1/4[/] encode {len(jobs)} recordings')
    recorded = encode(jobs, settings)
    num_notes = {one.job.uid: len(one.placed) for one in recorded}
    for one in recorded:
        left = f', {one.num_unplaced} without a frame' if one.num_unplaced else ''
        console.print(f'    {one.job.uid}: {one.num_frames} frames, {len(one.placed)} notes{left}')
    console.print('[bold]2/4[/] score the model as it is')
    recipe = _recipe(settings, stream)
    check_same(recipe, 'name another --output')
    split_conversations(recorded, test_jobs, settings, instruction)
    before = _score(config.model, stream, output)
    console.print(f'[bold]3/4[/] learn for {settings.steps} steps')
    trained = finetune(recipe)
    console.print('[bold]4/4[/] score the model that has learned')
    yaml_path = output / 'model' / MODEL_YAML
    after = _score(load_config(yaml_path, device=config.model.device).model, stream, output)
    result = {
        'model': str(yaml_path),
        'minutes': round((time.monotonic() - began) / 60, 2),
        'notes': num_notes,
        'training': trained,
        'before': before,
        'after': after,
    }
    write_json(output / 'learn.json', result, indent=1)
    return result


def _score(model: Any, stream: Any, output: Path) -> dict[str, Any]:
    live = load_model(model)
    return evaluate(live, stream, list(stored_scenes(live, [output / TEST_FILE], [])))


def _recipe(settings: LearnSettings, stream: Any) -> Recipe:
    model, output = settings.config.model, settings.output
    on_gpu = resolve_device(model).type == 'cuda'
    rate = settings.learning_rate
    if not rate:
        width = read_config('llm', local_folder('llm', model.llm, model.llm_revision)).hidden_size
        rate = 2e-4 if width >= WIDE else 2e-3
    return Recipe(
        output=str(output / 'model'),
        model=ModelRecipe(
            llm=model.llm,
            vision=model.vision,
            adapter=model.adapter,
            connector=model.connector,
            variant=model.variant,
            dtype='bfloat16' if on_gpu else 'float32',
        ),
        lora=LoraRecipe(rank=settings.rank, alpha=2.0 * settings.rank),
        data=DataRecipe(
            conversations=(str(output / TRAIN_FILE),),
            in_memory=True,
            padding='right',
            system_prompt=stream.system_prompt,
        ),
        train=TrainRecipe(
            learning_rate=rate,
            bf16=on_gpu,
            gradient_checkpointing=on_gpu,
            threads=settings.threads,
            seed=settings.seed,
            save_every_minutes=2.0,
            device='auto' if on_gpu else 'cpu',
        ),
        stages=(
            StageRecipe(
                num_steps=settings.steps,
                batch_size=settings.batch,
                window_frames=settings.window,
                unlearned_frames=min(4, settings.window // 4),
            ),
        ),
        stream=stream,
    )


def print_table(console: Console, result: Mapping[str, Any]) -> None:
    """Before and after, side by side."""
    before, after = result['before'], result['after']
    table = Table(title=f'{before["num_narrations"]:g} notes it has not learned from')
    table.add_column('')
    for name in ('before', 'after'):
        table.add_column(name, justify='right')
    for key, what in SHOWN.items():
        if key != 'queries_right' or before['num_queries']:
            table.add_row(what, f'{before[key]:.3f}', f'{after[key]:.3f}')
    zero = '0.0'
    if zero in before['teacher_forced'] and zero in after['teacher_forced']:
        rows = (before['teacher_forced'][zero], after['teacher_forced'][zero])
        table.add_row('LM-PPL, told the past', *(f'{row["lm_ppl"]:.3f}' for row in rows))
    console.print(table)


@tells_errors_in_one_line
def main(
    recordings: Annotated[
        list[Path], typer.Argument(help='bags or videos with notes', show_default=False)
    ],
    output: Annotated[Path, typer.Option(help='folder for features, adapter and model YAML')],
    model: Annotated[str, typer.Option(help=f'model YAML to begin with, or {BUNDLED}')] = BUNDLED,
    notes: Annotated[
        list[Path] | None,
        typer.Option(
            help='csv (time,text or time,question,text) for each recording, in order; none: '
            'RECORDING.csv beside it, notes.csv in it, or the topic'
        ),
    ] = None,
    notes_topic: Annotated[str, typer.Option(help='std_msgs/String topic')] = '/notes',
    notes_delay: Annotated[float, typer.Option(help='seconds notes come after the event')] = 0.0,
    test: Annotated[
        list[Path] | None,
        typer.Option(help='recording with notes that is scored and not learned from'),
    ] = None,
    holdout: Annotated[
        float, typer.Option(help='without --test: share of each recording that is only scored')
    ] = 0.25,
    topic: Annotated[str | None, typer.Option(help='image topic')] = None,
    steps: Annotated[int, typer.Option(help='optimizer steps', min=1)] = 100,
    batch: Annotated[int, typer.Option(help='windows per step', min=1)] = 6,
    window: Annotated[int, typer.Option(help='frames of a window', min=2)] = 64,
    rank: Annotated[int, typer.Option(help='LoRA rank', min=1)] = 32,
    learning_rate: Annotated[float, typer.Option(help='0 chooses by model width', min=0)] = 0.0,
    device: Annotated[str, typer.Option(help='auto, cpu or cuda')] = 'auto',
    threads: Annotated[int, typer.Option(help='CPU threads; 0: as torch has it', min=0)] = 0,
    seed: Annotated[int, typer.Option(help='of everything drawn')] = 1,
) -> None:
    """Teach a model from recordings with notes, and show what that changed."""
    settings = LearnSettings(
        load_config(model, device=device),
        output,
        tuple(notes or ()),
        notes_topic,
        notes_delay,
        topic,
        holdout,
        steps,
        batch,
        window,
        rank,
        learning_rate,
        threads,
        seed,
    )
    console = Console()
    result = learn(recordings, test or [], settings, console)
    print_table(console, result)
    console.print(f'{result["minutes"]} minutes; use it with --model {result["model"]}')


def run(arguments: Sequence[str]) -> None:
    """Run with the arguments behind `vlo learn`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(list(arguments), prog_name='vlo learn')


if __name__ == '__main__':
    typer.run(main)
