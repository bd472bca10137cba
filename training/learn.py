"""Your own recordings to a better model, in one command: `vlo learn BAG... --output DIR`.

    bags -> features -> conversations from notes -> LoRA -> scores before and after -> model YAML

Run again after an interruption, it goes on where it was.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from training.datasets.ego4d_refined_narration_stream import INSTRUCTIONS
from training.evaluate import evaluate
from training.finetune import finetune
from training.notes import Note, converse, place_notes, read_csv, read_topic
from training.output import MODEL_YAML
from training.preprocess.encode import process
from training.preprocess.feature_file import SUFFIX, read_stamps
from training.preprocess.index import write_index, write_json
from training.preprocess.jobs import Job, Settings, find_jobs, tower_fingerprint
from training.recipe import (
    DataRecipe,
    LoraRecipe,
    ModelRecipe,
    Recipe,
    StageRecipe,
    TrainRecipe,
    as_yaml,
)
from training.scenes import stored_scenes
from vlo_ros.checkpoint import load_model, local_folder, read_config, resolve_device
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import BUNDLED, VloConfig, load_config
from vlo_ros.errors import ConfigError, SourceError

TRAIN_FILE, TEST_FILE = 'train.json', 'test.json'
RECIPE_FILE = 'recipe.yaml'  # finetune writes it before it begins
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


@dataclass(frozen=True)
class LearnSettings:
    """What `vlo learn` is asked to do.

    Attributes:
        config: The model to begin with.
        output: Folder for everything that is made.
        notes: A csv for each recording; empty takes those beside the recordings, or the topic.
        notes_topic: String topic with notes.
        notes_delay_s: How much later than the event people noted it.
        topic: Image topic.
        holdout: Share of each recording, at its end, that is scored and not learned from.
        steps: Optimizer steps.
        batch: Windows per step.
        window: Frames of a window.
        rank: Of the LoRA weights.
        learning_rate: Peak; 0 chooses by the width of the model.
        threads: CPU threads; 0 leaves it to torch.
        seed: Of everything drawn.
    """

    config: VloConfig
    output: Path
    notes: tuple[Path, ...] = ()
    notes_topic: str = '/notes'
    notes_delay_s: float = 0.0
    topic: str | None = None
    holdout: float = 0.25
    steps: int = 100
    batch: int = 6
    window: int = 64
    rank: int = 32
    learning_rate: float = 0.0
    threads: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.holdout < 1:
            raise ConfigError(f'--holdout: {self.holdout} is not between 0 and 1')


@dataclass(frozen=True)
class Recorded:
    """One encoded recording with its notes placed on frames."""

    job: Job
    path: Path
    num_frames: int
    placed: Mapping[int, Note]
    num_unplaced: int


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
    split_conversations(recorded, test_jobs, settings, instruction)
    recipe = _recipe(settings, stream)
    _check_same(recipe)
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
    write_json(output / 'learn.json', result)
    return result


def encode(jobs: Sequence[Job], settings: LearnSettings) -> list[Recorded]:
    """Encode recordings and read their notes.

    Raises:
        SourceError: A recording cannot be read at all, or has no notes.
    """
    folder = settings.output / 'features'
    folder.mkdir(parents=True, exist_ok=True)
    model = settings.config.model
    how = Settings(
        model,
        folder,
        tower_fingerprint(model),
        settings.config.stream.frame_fps,
        threads=settings.threads,
    )
    recorded = []
    for number, job in enumerate(jobs):
        outcome = process(how, job)
        if outcome.header is None:
            raise SourceError(outcome.damage)
        path = folder / f'{job.uid}{SUFFIX}'
        stamps_ns = read_stamps(path)
        notes = _read_notes(job, number, int(stamps_ns[0]), settings)
        placed, num_unplaced = place_notes(notes, stamps_ns, settings.notes_delay_s)
        if not placed:
            raise SourceError(f'{job.source}: none of its {len(notes)} notes is within its frames')
        recorded.append(Recorded(job, path, len(stamps_ns), placed, num_unplaced))
    write_index(folder, how.fps)
    return recorded


def _read_notes(job: Job, number: int, first_ns: int, settings: LearnSettings) -> list[Note]:
    if settings.notes:
        return read_csv(settings.notes[number], first_ns)
    source = Path(job.source)
    for beside in (source.with_suffix('.csv'), source / 'notes.csv'):
        if beside.is_file():
            return read_csv(beside, first_ns)
    if source.is_dir() or source.suffix in ('.mcap', '.db3'):
        return read_topic(source, settings.notes_topic)
    raise SourceError(f'{source}: no notes; give --notes CSV, or {source.with_suffix(".csv")}')


def split_conversations(
    recorded: Sequence[Recorded],
    test_jobs: set[str],
    settings: LearnSettings,
    instruction: str,
) -> None:
    """Write what is learned and what is scored, as `training.datasets` does.

    Raises:
        SourceError: Nothing would be left to learn from, or to score.
    """
    train, test = [], []
    for one in recorded:
        cut = one.num_frames
        if one.job.uid in test_jobs:
            cut = 0
        elif not test_jobs:
            cut = round(one.num_frames * (1 - settings.holdout))
        for first, end, samples in ((0, cut, train), (cut, one.num_frames, test)):
            if sum(first < frame < end for frame in one.placed):
                conversation = converse(one.placed, first, end, instruction)
                samples.append(
                    {'conversation': conversation, 'load_ranges': {str(one.path): [first, end]}}
                )
    for samples, what in ((train, 'learn from'), (test, 'score')):
        if not samples:
            raise SourceError(f'no notes are left to {what}; change --holdout, or give --test')
    write_json(settings.output / TRAIN_FILE, train)
    write_json(settings.output / TEST_FILE, test)


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


def _check_same(recipe: Recipe) -> None:
    """Refuse to go on with a run that was begun otherwise."""
    path = Path(recipe.output) / RECIPE_FILE
    if path.exists() and path.read_text(encoding='utf-8') != as_yaml(recipe):
        raise ConfigError(f'{path}: begun with other settings; name another --output')


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
