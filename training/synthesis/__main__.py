# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make dialogue: `python -m training.synthesis refine|livechat --root DIR ...`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from training.datasets.ego4d_goalstep_livechat import FILE as LIVECHAT_FILE
from training.datasets.ego4d_narration_stream import clean_tracks, read_tracks
from training.datasets.layout import EGO4D, ego4d_annotation
from training.datasets.sample import BuildOptions
from training.synthesis.endpoint import Endpoint, EndpointSettings
from training.synthesis.filters import filter_dialogues
from training.synthesis.livechat import make_dialogues, make_plans
from training.synthesis.outline import read_outlines
from training.synthesis.prompts import default_path, load_livechat_prompt, load_refine_prompt
from training.synthesis.refine import refine
from training.synthesis.report import (
    livechat_figures,
    livechat_histograms,
    refined_figures,
    refined_histograms,
    write_report,
)
from training.synthesis.request import Cache, Engine, SynthesisError, Tally
from training.whole_files import write_json
from vlo_ros.errors import VloError

IN_PROCESS = 'transformers'

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@dataclass(frozen=True)
class Common:
    """Options of both commands."""

    root: Annotated[Path, typer.Option(help='folder that holds the published tree datasets/...')]
    model: Annotated[
        str, typer.Option(help='as the endpoint names it; a folder or hub name for transformers')
    ]
    endpoint: Annotated[
        str,
        typer.Option(
            help=f'http://HOST:PORT/v1 of `vllm serve MODEL` or the like; {IN_PROCESS}: in here'
        ),
    ] = 'http://127.0.0.1:8000/v1'
    config: Annotated[
        Path | None, typer.Option(help='wording and sampling; default: synthesis.yaml')
    ] = None
    output: Annotated[
        Path | None, typer.Option(help='file to write; default: the published place')
    ] = None
    cache: Annotated[
        Path | None, typer.Option(help='where answers are kept; default: beside OUTPUT')
    ] = None
    key_variable: Annotated[
        str, typer.Option(help='environment variable that holds the API key')
    ] = 'OPENAI_API_KEY'
    concurrency: Annotated[int, typer.Option(min=1, help='requests under way at once')] = 32
    timeout: Annotated[float, typer.Option(min=0.1, help='longest wait for one answer, s')] = 300.0
    official: Annotated[
        bool, typer.Option('--official', help='the rules of the published files')
    ] = False
    overwrite: Annotated[bool, typer.Option('--overwrite', help='replace an existing OUTPUT')] = (
        False
    )

    @property
    def annotations(self) -> Path:
        """Folder of the annotations."""
        return self.root / EGO4D / 'annotations'

    @property
    def wording(self) -> Path:
        """File with the prompts."""
        return self.config or default_path('synthesis.yaml')

    def open_output(self, published: str) -> Path:
        """File to write; it must not exist unless it is to be replaced."""
        path = self.output or self.annotations / published
        if path.exists() and not self.overwrite:
            raise SynthesisError(f'{path}: exists already; name another --output, or --overwrite')
        return path

    def open_cache(self, output: Path) -> Cache:
        """Where answers are kept."""
        return Cache(self.cache or output.with_name('synthesis_cache'))

    def open_engine(self) -> Engine:
        """Who answers."""
        if self.endpoint == IN_PROCESS:
            from training.synthesis.in_process import InProcess

            return InProcess(self.model)
        key = os.environ.get(self.key_variable, '')
        settings = EndpointSettings(
            self.endpoint, key, concurrency=self.concurrency, timeout_s=self.timeout
        )
        return Endpoint(settings)


def takes_common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options besides its own, and `Common` as its first argument."""
    common = inspect.signature(Common, eval_str=True).parameters
    own = dict(list(inspect.signature(command, eval_str=True).parameters.items())[1:])

    def run(**options: Any) -> None:
        given = Common(**{name: options.pop(name) for name in common})
        with _errors_in_one_line():
            command(given, **options)

    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in (common | own).values()]
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


@app.command('refine')
@takes_common
def refine_command(
    common: Common,
    split: Annotated[str, typer.Option(help='train, val or test')] = 'train',
) -> None:
    """Rewrite narrations in the second person: refined_narration_stream_SPLIT.json."""
    path = common.open_output(f'refined_narration_stream_{split}.json')
    prompt = load_refine_prompt(common.wording)
    options = BuildOptions(root=common.root, split=split)
    cached = ego4d_annotation(options, f'narration_stream_{split}.json')
    tracks = list(read_tracks(cached) if cached.is_file() else clean_tracks(options))
    tally = Tally()
    different = len({line.text for track in tracks for line in track.narrations})
    with _progress('narrations', different) as advance:
        refined = refine(
            tracks,
            prompt,
            common.model,
            common.open_engine(),
            common.open_cache(path),
            tally,
            official=common.official,
            on_answer=advance,
        )
    write_json(path, refined)
    figures = {**refined_figures(refined), 'model': common.model, 'tally': dict(tally.counts)}
    _finish(path, f'Rewritten narrations, {split}', figures, refined_histograms(refined))


@app.command('livechat')
@takes_common
def livechat_command(
    common: Common,
    split: Annotated[
        list[str] | None, typer.Option(help='goalstep_SPLIT.json; default: train and val')
    ] = None,
    seed: Annotated[int, typer.Option(help='of every draw')] = 0,
    queries: Annotated[
        Path | None, typer.Option(help='questions; default: synthesis_queries.yaml')
    ] = None,
) -> None:
    """Make dialogues about GoalStep videos: goalstep_livechat_trainval_filtered_21k.json."""
    path = common.open_output(LIVECHAT_FILE)
    prompt = load_livechat_prompt(
        common.wording, queries or default_path('synthesis_queries.yaml')
    )
    outlines = [
        outline
        for part in split or ('train', 'val')
        for outline in read_outlines(common.annotations / f'goalstep_{part}.json')
    ]
    tally = Tally()
    plans = make_plans(outlines, prompt, seed, tally)
    with _progress('dialogues', len(plans)) as advance:
        made = make_dialogues(
            plans,
            prompt,
            common.model,
            common.open_engine(),
            common.open_cache(path),
            tally,
            seed=seed,
            official=common.official,
            on_answer=advance,
        )
    kept = filter_dialogues(made, tally, official=common.official)
    write_json(path, [dialogue.as_published() for dialogue in kept])
    figures = {
        **livechat_figures(made, kept),
        'model': common.model,
        'seed': seed,
        'tally': dict(tally.counts),
    }
    _finish(path, 'Dialogues', figures, livechat_histograms(kept))


def _finish(path: Path, title: str, figures: dict[str, Any], histograms: list[Any]) -> None:
    folder = path.with_name(f'{path.stem}_report')
    write_report(folder, title, figures, histograms)
    typer.echo(f'{path} written; {folder / "report.html"}')
    if figures['tally'].get('failed'):
        typer.echo(
            f'{figures["tally"]["failed"]} requests failed; --overwrite asks for them again'
        )


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except VloError as error:
        typer.secho(f'error: {error}', fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from None


if __name__ == '__main__':
    app()
