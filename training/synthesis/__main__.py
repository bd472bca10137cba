"""Make dialogue: `python -m training.synthesis refine|livechat --root DIR ...`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

Root = Annotated[Path, typer.Option(help='folder that holds the published tree datasets/...')]
ModelName = Annotated[
    str, typer.Option(help='as the endpoint names it; a folder or hub name for transformers')
]
EndpointUrl = Annotated[
    str,
    typer.Option(
        '--endpoint',
        help=f'http://HOST:PORT/v1 of `vllm serve MODEL` or the like; {IN_PROCESS}: in here',
    ),
]
KeyName = Annotated[str, typer.Option(help='environment variable that holds the API key')]
Concurrency = Annotated[int, typer.Option(min=1, help='requests under way at once')]
Timeout = Annotated[float, typer.Option(min=0.1, help='longest wait for one answer, s')]
CacheFolder = Annotated[
    Path | None, typer.Option('--cache', help='where answers are kept; default: beside OUTPUT')
]
Config = Annotated[Path | None, typer.Option(help='wording and sampling; default: synthesis.yaml')]
Output = Annotated[Path | None, typer.Option(help='file to write; default: the published place')]
Official = Annotated[bool, typer.Option('--official', help='the rules of the published files')]
Overwrite = Annotated[bool, typer.Option('--overwrite', help='replace an existing OUTPUT')]


@app.command('refine')
def refine_command(
    root: Root,
    model: ModelName,
    endpoint: EndpointUrl = 'http://127.0.0.1:8000/v1',
    split: Annotated[str, typer.Option(help='train, val or test')] = 'train',
    config: Config = None,
    output: Output = None,
    cache: CacheFolder = None,
    key_variable: KeyName = 'OPENAI_API_KEY',
    concurrency: Concurrency = 32,
    timeout: Timeout = 300.0,
    official: Official = False,
    overwrite: Overwrite = False,
) -> None:
    """Rewrite narrations in the second person: refined_narration_stream_SPLIT.json."""
    with _errors_in_one_line():
        path = output or root / EGO4D / 'annotations' / f'refined_narration_stream_{split}.json'
        _check_output(path, overwrite)
        prompt = load_refine_prompt(config or default_path('synthesis.yaml'))
        options = BuildOptions(root=root, split=split)
        cached = ego4d_annotation(options, f'narration_stream_{split}.json')
        tracks = list(read_tracks(cached) if cached.is_file() else clean_tracks(options))
        tally = Tally()
        engine = _engine(endpoint, model, key_variable, concurrency, timeout)
        different = len({line.text for track in tracks for line in track.narrations})
        with _progress('narrations', different) as advance:
            refined = refine(
                tracks,
                prompt,
                model,
                engine,
                Cache(cache or path.with_name('synthesis_cache')),
                tally,
                official=official,
                on_answer=advance,
            )
        write_json(path, refined)
        figures = {**refined_figures(refined), 'model': model, 'tally': dict(tally.counts)}
        _finish(path, f'Rewritten narrations, {split}', figures, refined_histograms(refined))


@app.command('livechat')
def livechat_command(
    root: Root,
    model: ModelName,
    endpoint: EndpointUrl = 'http://127.0.0.1:8000/v1',
    split: Annotated[
        list[str] | None, typer.Option(help='goalstep_SPLIT.json; default: train and val')
    ] = None,
    seed: Annotated[int, typer.Option(help='of every draw')] = 0,
    config: Config = None,
    queries: Annotated[
        Path | None, typer.Option(help='questions; default: synthesis_queries.yaml')
    ] = None,
    output: Output = None,
    cache: CacheFolder = None,
    key_variable: KeyName = 'OPENAI_API_KEY',
    concurrency: Concurrency = 32,
    timeout: Timeout = 300.0,
    official: Official = False,
    overwrite: Overwrite = False,
) -> None:
    """Make dialogues about GoalStep videos: goalstep_livechat_trainval_filtered_21k.json."""
    with _errors_in_one_line():
        path = output or root / EGO4D / 'annotations' / LIVECHAT_FILE
        _check_output(path, overwrite)
        prompt = load_livechat_prompt(
            config or default_path('synthesis.yaml'),
            queries or default_path('synthesis_queries.yaml'),
        )
        outlines = [
            outline
            for part in split or ('train', 'val')
            for outline in read_outlines(root / EGO4D / 'annotations' / f'goalstep_{part}.json')
        ]
        tally = Tally()
        plans = make_plans(outlines, prompt, seed, tally)
        engine = _engine(endpoint, model, key_variable, concurrency, timeout)
        with _progress('dialogues', len(plans)) as advance:
            made = make_dialogues(
                plans,
                prompt,
                model,
                engine,
                Cache(cache or path.with_name('synthesis_cache')),
                tally,
                seed=seed,
                official=official,
                on_answer=advance,
            )
        kept = filter_dialogues(made, tally, official=official)
        write_json(path, [dialogue.as_published() for dialogue in kept])
        figures = {
            **livechat_figures(made, kept),
            'model': model,
            'seed': seed,
            'tally': dict(tally.counts),
        }
        _finish(path, 'Dialogues', figures, livechat_histograms(kept))


def _engine(
    endpoint: str, model: str, key_variable: str, concurrency: int, timeout_s: float
) -> Engine:
    if endpoint == IN_PROCESS:
        from training.synthesis.in_process import InProcess

        return InProcess(model)
    key = os.environ.get(key_variable, '')
    return Endpoint(EndpointSettings(endpoint, key, concurrency=concurrency, timeout_s=timeout_s))


def _check_output(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise SynthesisError(f'{path}: exists already; name another --output, or --overwrite')


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
