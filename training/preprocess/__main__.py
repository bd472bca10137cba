# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos or bags to frame features: `python -m training.preprocess INPUTS... --output DIR`."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.datasets.layout import PUBLISHED_TOWER
from training.preprocess.encode import Outcome
from training.preprocess.executors import LostError, run_here, run_on_ray, run_on_slurm
from training.preprocess.index import (
    metadata_path,
    remove_partial_files,
    report_path,
    write_index,
    write_report,
)
from training.preprocess.jobs import Job, Settings, find_jobs, tower_fingerprint
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.errors import ConfigError, VloError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Executor(StrEnum):
    """Where the work is done."""

    LOCAL = 'local'
    RAY = 'ray'
    SLURM = 'slurm'


@app.command()
def main(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            help='videos, bags, folders of images, or folders with videos and bags in them; none: '
            'only index what is in the output folder'
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            help='folder of feature files; published name: '
            f'full_scale_2fps_384_1+3x3_{PUBLISHED_TOWER}'
        ),
    ] = Path('features'),
    model: Annotated[
        str, typer.Option(help='model YAML; its vision tower and variant are used')
    ] = BUNDLED,
    fps: Annotated[float, typer.Option(help='frames per second')] = 2.0,
    gaps: Annotated[
        str,
        typer.Option(
            help='keep: frames as live; fill: repeat the last frame over holes of the recording, '
            'so that annotated times fit (the published preparation)'
        ),
    ] = 'keep',
    topic: Annotated[str | None, typer.Option(help='image topic of bags with several')] = None,
    batch: Annotated[int, typer.Option(help='frames encoded together')] = 64,
    device: Annotated[str, typer.Option(help='auto, cpu or cuda')] = 'auto',
    dtype: Annotated[
        str, typer.Option(help='auto, float32, bfloat16 or float16; features are bfloat16')
    ] = 'auto',
    threads: Annotated[int, typer.Option(help='CPU threads of a worker; 0: as torch has it')] = 0,
    workers: Annotated[int, typer.Option(help='processes, or recordings at once on Ray')] = 1,
    executor: Annotated[Executor, typer.Option(help='where the work is done')] = Executor.LOCAL,
    ray_address: Annotated[str | None, typer.Option(help='Ray cluster; none: start one')] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar='NAME=VALUE',
            help='for submitit, such as slurm_partition=gpu or timeout_min=600; may be repeated',
        ),
    ] = None,
) -> None:
    """Encode recordings; run it again after a kill and it goes on."""
    logging.basicConfig(format='%(message)s', level=logging.WARNING)
    try:
        if not inputs:
            _index(output, fps)
            return
        config = load_config(model, device=device, dtype=dtype).model
        settings = Settings(config, output, tower_fingerprint(config), fps, gaps, batch, threads)
        jobs = find_jobs(inputs, topic)
        with _locked(output):
            remove_partial_files(output)
            report = _run(settings, jobs, executor, workers, ray_address, _pairs(slurm or []))
    except VloError as error:
        typer.secho(f'error: {error}', fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from None
    for name in ('unreadable', 'damaged'):
        for entry in report[name]:
            typer.secho(f'{name}: {entry["source"]}: {entry["reason"]}', err=True)
    for loss in report['lost']:
        typer.secho(f'lost: {loss}; run the command again', err=True)
    if report['lost']:
        raise typer.Exit(1)


def _index(output: Path, fps: float) -> None:
    """Index a folder of features, such as an official one; no model is needed for that."""
    if not output.is_dir():
        raise ConfigError(f'--output {output}: no such folder to index')
    num_files = write_index(output, fps)
    typer.echo(f'{num_files} feature files in {metadata_path(output)}')


def _run(
    settings: Settings,
    jobs: Sequence[Job],
    executor: Executor,
    workers: int,
    ray_address: str | None,
    slurm: dict[str, Any],
) -> dict[str, Any]:
    outcomes: list[Outcome] = []
    lost: list[str] = []
    began = time.monotonic()
    console = Console(stderr=True)
    with Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[frames]} frames, {task.fields[rate]:.0f}/s'),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task('recordings', total=len(jobs), frames=0, rate=0.0)
        fresh = 0

        def count(num_frames: int) -> None:
            nonlocal fresh
            fresh += num_frames
            rate = fresh / max(time.monotonic() - began, 1e-9)
            progress.update(task, frames=fresh, rate=rate)

        results: Iterator[Outcome | LostError]
        counts_itself = executor is Executor.LOCAL and (workers <= 1 or len(jobs) <= 1)
        if executor is Executor.RAY:
            results: Iterator[Outcome | LostError] = run_on_ray(
                settings, jobs, workers, ray_address
            )
        elif executor is Executor.SLURM:
            results = run_on_slurm(settings, jobs, slurm)
        else:
            results = run_here(settings, jobs, workers, count)
        try:
            for result in results:
                if isinstance(result, LostError):
                    lost.append(str(result))
                    continue
                outcomes.append(result)
                if not counts_itself and result.header is not None and not result.was_done:
                    count(result.header.num_frames)
                progress.advance(task)
        finally:
            num_files = write_index(settings.output, settings.fps)
            report = write_report(settings.output, outcomes, lost)
    num_new = sum(not outcome.was_done and outcome.header is not None for outcome in outcomes)
    typer.echo(
        f'{num_new} recordings encoded, {sum(o.was_done for o in outcomes)} were done; '
        f'{num_files} feature files in {metadata_path(settings.output)}; '
        f'report: {report_path(settings.output)}'
    )
    return report


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock goes with the process, however it ends."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        file = (output / '.lock').open('w')
    except OSError as error:
        raise ConfigError(f'--output {output}: {error.strerror or error}') from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f'--output {output}: another run is writing there') from error
        yield


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals:
            raise ConfigError(f'--slurm {text!r}: expected NAME=VALUE')
        pairs[name] = yaml.safe_load(value)
    return pairs


if __name__ == '__main__':
    app()
