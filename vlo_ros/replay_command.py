# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo replay`: joins source, model and output; tells a person how it goes."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vlo_ros.checkpoint import load_model
from vlo_ros.config import VloConfig
from vlo_ros.errors import SourceError, VloError, one_line
from vlo_ros.replay import ReplayEvent, first_seconds, read_queries, replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source
from vlo_ros.sources.opening import RENDERED

RENDERED_SECONDS = 60.0
STDOUT = Path('-')


def run_replay(
    source: str,
    config: VloConfig,
    queries_path: Path | None,
    topic: str | None,
    duration_s: float | None,
    output: Path | None,
) -> None:
    """Replay `source`.

    Args:
        source: As `open_source` takes it.
        config: Model and stream.
        queries_path: JSON lines of what to ask.
        topic: Image topic of a bag.
        duration_s: Stop after this much of the recording.
        output: File for the events, '-' for stdout; None prints the responses for people.

    Raises:
        VloError: As it says; what was decided before is in the output.
    """
    # All that may be wrong with the arguments is found before the weights are loaded.
    queries = read_queries(queries_path) if queries_path is not None else []
    recording = open_source(source, topic)
    if duration_s is None and source.startswith(RENDERED):
        duration_s = RENDERED_SECONDS
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_open_output(output)) if output is not None else None
        model = load_model(config.model)
        if not config.model.truthful:
            typer.secho('vlo: a test model, its words mean nothing', dim=True, err=True)
        frames = recording.frames(Sampler(config.stream.frame_fps))
        if duration_s is not None:
            frames = first_seconds(frames, duration_s)
        report = stack.enter_context(_Report(file, duration_s or recording.duration_s))
        # Closed before a person who interrupts is told so: no thread works on behind their back.
        events = stack.enter_context(
            contextlib.closing(replay(frames, queries, model, config.stream))
        )
        try:
            for event in events:
                report.take(event)
        except torch.OutOfMemoryError as error:
            raise VloError(
                f'out of memory after {report.counts["frame"]} frames: {one_line(error)}; a '
                'smaller window_tokens or --dtype bfloat16 needs less'
            ) from error
        except SourceError as error:
            if not report.counts['frame']:
                raise
            raise SourceError(
                f'{error}; the {report.counts["frame"]} frames before it were judged'
            ) from error


class _Report:
    """Writes events as they come, shows progress on a terminal, sums up at the end."""

    def __init__(self, file: IO[str] | None, duration_s: float | None) -> None:
        self.counts: Counter[str] = Counter()
        self._file = file
        self._video_s = 0.0
        self._began = time.monotonic()
        errors = Console(stderr=True)
        shows_progress = errors.is_terminal and file is not sys.stdout
        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            TimeElapsedColumn(),
            console=errors,
            disable=not shows_progress,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task('loading', total=duration_s)
        # Two consoles on one terminal would write over each other.
        one_terminal = shows_progress and sys.stdout.isatty()
        self._console = self._progress.console if one_terminal else Console(soft_wrap=True)

    def __enter__(self) -> _Report:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if not self.counts:
            return
        wall_s = time.monotonic() - self._began
        typer.secho(
            f'vlo: {self.counts["frame"]} frames, {self.counts["response"]} responses; '
            f'{self._video_s:.1f} s of recording in {wall_s:.1f} s '
            f'({self._video_s / max(wall_s, 1e-9):.1f} times life)',
            dim=True,
            err=True,
        )

    def take(self, event: ReplayEvent) -> None:
        """Write and show one event."""
        self.counts[event['kind']] += 1
        if self._file is not None:
            self._file.write(json.dumps(event, ensure_ascii=False) + '\n')
        elif event['kind'] == 'response':
            self._print_response(event)
        if event['kind'] == 'frame':
            self._video_s = event['time']
            speed = self._video_s / max(time.monotonic() - self._began, 1e-9)
            self._progress.update(
                self._task,
                completed=self._video_s,
                description=f'{self._video_s:.1f} s, {self.counts["response"]} responses, '
                f'{speed:.1f} times life',
            )

    def _print_response(self, event: ReplayEvent) -> None:
        stamp = f'{event["time"]:8.2f} s '
        if event['query'] is not None:
            self._print(f'{stamp} ? {event["query"]}', 'cyan')
        cut = '' if event['finish'] == 'eos' else ' ...'
        self._print(f'{stamp} {event["text"]}{cut}', None)

    def _print(self, line: str, style: str | None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False)


@contextlib.contextmanager
def _open_output(path: Path) -> Iterator[IO[str]]:
    if path == STDOUT:
        yield sys.stdout
        return
    try:
        # Line by line, so that what is decided can be followed, and survives a crash.
        file = path.open('w', encoding='utf-8', newline='\n', buffering=1)
    except OSError as error:
        raise SourceError(f'--output {path}: {error.strerror or error}') from error
    with file:
        yield file
