# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score a model three ways: python -m training.evaluate --model YAML ... --output OUT.json.

    teacher-forced    the model reads the true conversation; metrics as published
    self-conditioned  it lives with its own past, through the stream that the node runs
    wall clock        the same, and a sentence counts from the moment it is complete

Scenes are rendered episodes (`--world-seeds A:B --split new --minutes 1`) or conversations with
cached features (`--conversations C.json --features DIR`). Writes OUT.json, OUT.csv and OUT.html.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from training.free_running import Scene, run
from training.report import write_csv, write_page
from training.scenes import stored_scenes, world_scenes
from training.scoring import Heard, by_minute, score, transcript
from training.stream_evaluate import StreamScore, mean_score, stream_evaluate
from training.whole_files import write_json
from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import StreamConfig, load_config
from vlo_ros.errors import ConfigError
from vlo_ros.template import turns_from


def teacher_forced(
    model: VloModel,
    config: StreamConfig,
    scenes: Sequence[Scene],
    thresholds: Sequence[float],
    *,
    official: bool = False,
) -> dict[float, dict[str, float]]:
    """Published metrics at each threshold, means over scenes."""
    scores: dict[float, list[StreamScore]] = {threshold: [] for threshold in thresholds}
    losses = []
    for scene in scenes:
        turns = turns_from(scene.conversation, config.system_prompt)
        loss, found = stream_evaluate(
            model.language,
            model.template,
            model.template.render(turns),
            scene.tokens_NFD,
            thresholds,
            official=official,
        )
        losses.append(loss)
        for threshold, one in found.items():
            scores[threshold].append(one)
    return {
        threshold: {**mean_score(found, config.frame_fps), 'loss': fmean(losses)}
        for threshold, found in scores.items()
    }


def evaluate(
    model: VloModel,
    config: StreamConfig,
    scenes: Sequence[Scene],
    sweep: Sequence[float] = (),
    *,
    official: bool = False,
) -> dict[str, Any]:
    """Score all three ways.

    Args:
        model: The model.
        config: Settings of the stream; its threshold is the one reported.
        scenes: What to run.
        sweep: Further thresholds, self-conditioned.
        official: As in stream_evaluate.

    Returns:
        What OUT.json holds. The self-conditioned scores are at the top.
    """
    threshold = config.silence_threshold
    heard = [run(model, config, scene) for scene in scenes]
    longest = max((scene.tokens_NFD.shape[0] for scene in scenes), default=0)
    forced = {}
    # What is said adds about half as many tokens as the frames have.
    if longest * _tokens_per_frame(model) * 3 // 2 <= model.language.trained_positions:
        forced = teacher_forced(model, config, scenes, sorted({0.0, threshold}), official=official)
    swept = [
        {'threshold': value, **score(_rerun(model, config, scenes, value))} for value in sweep
    ]
    return {
        **score(heard),
        'silence_threshold': threshold,
        'resume_silence_threshold': config.resume_silence_threshold,
        'num_scenes': len(scenes),
        'teacher_forced': {str(value): metrics for value, metrics in forced.items()},
        'self_conditioned': score(heard),
        'wall_clock': {**score(heard, wall_clock=True), **latency(heard)},
        'by_minute': by_minute(heard),
        'sweep': swept,
        'p_silence': p_silence_histogram(heard),
        'transcript': transcript(heard),
    }


def latency(streams: Sequence[Heard]) -> dict[str, float]:
    """Seconds from the deciding frame's stamp to the complete sentence."""
    values = sorted(
        late.time - spoke.time
        for stream in streams
        for late, spoke in zip(stream.heard, stream.said, strict=True)
    )
    if not values:
        return {'latency_p50_s': 0.0, 'latency_p95_s': 0.0}
    return {
        'latency_p50_s': median(values),
        'latency_p95_s': values[min(len(values) - 1, int(0.95 * len(values)))],
    }


def p_silence_histogram(streams: Sequence[Heard], num_bins: int = 20) -> dict[str, list[int]]:
    """How sure it is: counts of p(silence) at frames where something is due, and elsewhere."""
    counts = {'due': [0] * num_bins, 'quiet': [0] * num_bins}
    for stream in streams:
        due = {round(one.time, 3) for one in stream.truth}
        for frame in stream.judged:
            kind = 'due' if round(frame.time, 3) in due else 'quiet'
            counts[kind][min(num_bins - 1, int(frame.p_silence * num_bins))] += 1
    return counts


def _rerun(
    model: VloModel, config: StreamConfig, scenes: Sequence[Scene], threshold: float
) -> list[Heard]:
    changed = dataclasses.replace(config, silence_threshold=threshold)
    return [run(model, changed, scene) for scene in scenes]


def _tokens_per_frame(model: VloModel) -> int:
    return model.template.frame_num_tokens + len(model.template.interval_ids)


def print_table(console: Console, result: dict[str, Any]) -> None:
    """The three ways side by side."""
    table = Table(title=f'{result["num_scenes"]} scenes, {result["num_narrations"]:g} narrations')
    table.add_column('score', no_wrap=True)
    ways: dict[str, dict[str, float]] = {}
    for value, metrics in result['teacher_forced'].items():
        ways[f'teacher-forced {value}'] = metrics
    ways[f'self-conditioned {result["silence_threshold"]:g}'] = result['self_conditioned']
    ways['wall clock'] = result['wall_clock']
    for way in ways:
        table.add_column(way, justify='right')
    names = list(dict.fromkeys(name for metrics in ways.values() for name in metrics))
    for name in names:
        table.add_row(name, *(_cell(metrics.get(name)) for metrics in ways.values()))
    console.print(table)


def _cell(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value:.0f}' if value >= 100 or value == int(value) > 1 else f'{value:.3f}'


def parse_range(text: str) -> range:
    """'A:B' -> range(A, B).

    Raises:
        ConfigError: It is not two whole numbers, the first the smaller.
    """
    first, colon, end = text.partition(':')
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise ConfigError(f'--world-seeds: {text!r} is not A:B with A < B')
    return range(int(first), int(end))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(',') if part.strip()]
    except ValueError as error:
        raise ConfigError(f'--sweep: {text!r} is not a list such as 0.3,0.5,0.7') from error


@tells_errors_in_one_line
def main(
    model: Annotated[str, typer.Option(help='model YAML, or bundled')],
    output: Annotated[Path | None, typer.Option(help='OUT.json; .csv and .html beside it')] = None,
    world_seeds: Annotated[str, typer.Option(help='rendered episodes A:B')] = '',
    split: Annotated[str, typer.Option(help='new, background, pairs or train')] = 'new',
    minutes: Annotated[float, typer.Option(help='length of each episode', min=0.05)] = 1.0,
    question_every: Annotated[float, typer.Option(help='seconds between questions', min=0)] = 10.0,
    conversations: Annotated[
        list[Path] | None, typer.Option(help='from training.datasets')
    ] = None,
    features: Annotated[list[Path] | None, typer.Option(help='folders of features')] = None,
    limit: Annotated[int, typer.Option(help='at most so many conversations', min=0)] = 0,
    threshold: Annotated[float | None, typer.Option(help='silence threshold')] = None,
    resume_threshold: Annotated[
        float | None, typer.Option(help='threshold right after a response')
    ] = None,
    sweep: Annotated[str, typer.Option(help='further thresholds, 0.3,0.5,0.7')] = '',
    official: Annotated[bool, typer.Option(help='keep the published look-ahead bug')] = False,
    blind: Annotated[bool, typer.Option(help='show zeros instead of frames')] = False,
    device: Annotated[str, typer.Option(help='auto, cpu or cuda')] = 'auto',
    threads: Annotated[int, typer.Option(help='CPU threads; 0 leaves it to torch', min=0)] = 0,
) -> None:
    """Score a model teacher-forced, self-conditioned and against the clock."""
    if threads:
        torch.set_num_threads(threads)
    changes: dict[str, Any] = {'device': device}
    if threshold is not None:
        changes['silence_threshold'] = threshold
    if resume_threshold is not None:
        changes['resume_silence_threshold'] = resume_threshold
    config = load_config(model, **changes)
    if bool(world_seeds) == bool(conversations):
        raise ConfigError('give either --world-seeds or --conversations')
    if split not in ('new', 'background', 'pairs', 'train'):
        raise ConfigError(
            f"--split: {split!r} is not one of 'new', 'background', 'pairs', 'train'"
        )
    thresholds = _numbers(sweep)
    seeds = parse_range(world_seeds) if world_seeds else range(0)
    live = load_model(config.model)
    if world_seeds:
        scenes = list(
            world_scenes(
                live,
                seeds,
                split,
                minutes,
                config.stream.frame_fps,
                question_every_s=question_every,
                blind=blind,
            )
        )
    else:
        scenes = list(
            stored_scenes(live, conversations or [], features or [], limit=limit, blind=blind)
        )
    result = {
        'model': str(model),
        'split': split if world_seeds else None,
        'world_seeds': world_seeds or None,
        'minutes': minutes if world_seeds else None,
        **evaluate(live, config.stream, scenes, thresholds, official=official),
    }
    print_table(Console(), result)
    if output is not None:
        write_json(output, result, indent=1)
        write_csv(result, output.with_suffix('.csv'))
        write_page(result, output.with_suffix('.html'))


if __name__ == '__main__':
    typer.run(main)
