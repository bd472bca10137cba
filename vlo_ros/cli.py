# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line `vlo`: replay a recording, check what a model needs. Needs no ROS.

What a person uses beside the node (doctor, chat, web, ...) is in person_commands.py.

Heavy modules are imported inside the commands, so that `vlo --help` answers at once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from vlo_ros import __version__, person_commands, training_commands
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import BUNDLED, ModelConfig, StreamConfig, load_config
from vlo_ros.config_options import config_of_parts, parse_settings
from vlo_ros.errors import ConfigError

app = typer.Typer(
    name='vlo',
    help='Streaming video-language model: watches a camera and speaks when it is time to.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode='rich',
    context_settings={'help_option_names': ['-h', '--help']},
)
app.add_typer(person_commands.app)
app.add_typer(training_commands.app)


def main() -> None:
    """Run the command line."""
    app(prog_name='vlo')


def _help(kind: type, name: str) -> str:
    """Help text of a setting, from where it is declared."""
    spec = next(spec for spec in dataclasses.fields(kind) if spec.name == name)
    return str(spec.metadata['doc'])


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f'vlo {__version__}')
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option('--version', callback=_show_version, is_eager=True, help='print the version'),
    ] = False,
) -> None:
    pass


# Option groups of the help page.
MODEL, STREAM, OUTPUT = 'Model', 'Stream', 'Output'

Debug = Annotated[
    bool,
    typer.Option('--debug', help='full traceback instead of one line', rich_help_panel=OUTPUT),
]


def _option(panel: str, kind: type, name: str, *flags: str, metavar: str | None = None) -> Any:
    text = _help(kind, name).replace('[', r'\[')
    return typer.Option(
        *flags, help=text, rich_help_panel=panel, metavar=metavar, show_default=False
    )


@app.command()
@tells_errors_in_one_line
def replay(
    source: Annotated[
        str,
        typer.Argument(
            help='rosbag2 (folder, .mcap, .db3), video file, folder of images, .npz with `frames` '
            '(N, 3, H, W), or rendered:SEED',
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help=f'model YAML, or {BUNDLED} for the small one inside the package (the default)',
            rich_help_panel=MODEL,
            metavar='YAML',
            show_default=False,
        ),
    ] = None,
    llm: Annotated[str | None, _option(MODEL, ModelConfig, 'llm', '--llm', metavar='DIR')] = None,
    vision: Annotated[
        str | None, _option(MODEL, ModelConfig, 'vision', '--vision', metavar='DIR')
    ] = None,
    adapter: Annotated[
        str | None, _option(MODEL, ModelConfig, 'adapter', '--adapter', metavar='DIR')
    ] = None,
    variant: Annotated[
        str | None, _option(MODEL, ModelConfig, 'variant', '--variant', metavar='live1+|live1')
    ] = None,
    device: Annotated[
        str | None, _option(MODEL, ModelConfig, 'device', '--device', metavar='cpu|cuda')
    ] = None,
    dtype: Annotated[
        str | None,
        _option(MODEL, ModelConfig, 'dtype', '--dtype', metavar='float32|bfloat16|float16'),
    ] = None,
    fps: Annotated[
        float | None, _option(STREAM, StreamConfig, 'frame_fps', '--fps', metavar='FPS')
    ] = None,
    threshold: Annotated[
        float | None,
        _option(STREAM, StreamConfig, 'silence_threshold', '--threshold', metavar='P'),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        _option(STREAM, StreamConfig, 'max_new_tokens', '--max-new-tokens', metavar='N'),
    ] = None,
    protocol: Annotated[
        str | None,
        _option(STREAM, StreamConfig, 'protocol', '--protocol', metavar='template|official'),
    ] = None,
    chunk: Annotated[
        str | None, _option(STREAM, StreamConfig, 'chunk', '--chunk', metavar='K|auto')
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            '--set',
            help='any other setting, e.g. --set window_tokens=4096; may be repeated',
            metavar='NAME=VALUE',
            rich_help_panel=STREAM,
            show_default=False,
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help='what to ask, one {"time": seconds, "text": "..."} a line; times count from the '
            'first frame',
            metavar='JSONL',
            rich_help_panel=STREAM,
            show_default=False,
        ),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(
            help='image topic of a bag that has several',
            rich_help_panel=STREAM,
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            '--seconds',
            help='stop after this much of the recording (rendered: 60)',
            rich_help_panel=STREAM,
            metavar='S',
            min=0.0,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            '--output',
            '-o',
            help='write every decision and response as JSON lines; - is stdout. Without it the '
            'responses are printed',
            metavar='JSONL',
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Judge a recording as fast as the machine allows; the same result from run to run."""
    changes: dict[str, Any] = {
        'variant': variant,
        'device': device,
        'dtype': dtype,
        'frame_fps': fps,
        'silence_threshold': threshold,
        'max_new_tokens': max_new_tokens,
        'protocol': protocol,
        'chunk': chunk,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    changes |= parse_settings(settings or [])
    parts = {'llm': llm, 'vision': vision, 'adapter': adapter}
    if any(parts.values()):
        if model is not None:
            raise ConfigError('give either --model or --llm, --vision and --adapter')
        config = config_of_parts(parts, **changes)
    else:
        config = load_config(model or BUNDLED, **changes)

    from vlo_ros.replay_command import run_replay

    run_replay(source, config, queries, topic, duration, output)


@app.command()
@tells_errors_in_one_line
def render(
    output: Annotated[
        Path,
        typer.Option('--output', '--out', help='video (.mp4), or folder of a bag with notes'),
    ],
    seed: Annotated[int, typer.Option(help='which episode', min=0)] = 0,
    split: Annotated[str, typer.Option(help='train, new, background or pairs')] = 'new',
    seconds: Annotated[float, typer.Option(help='length', min=0.1)] = 60.0,
    size: Annotated[int, typer.Option(help='side of the picture in pixels', min=16)] = 384,
    debug: Debug = False,
) -> None:
    """Render an episode of the bundled model's world: a video, or a bag with its notes."""
    from vlo_ros.rendered_world import Episode
    from vlo_ros.rendered_world.bag import write_bag
    from vlo_ros.rendered_world.video import write_mp4

    if output.exists():
        raise ConfigError(f'--output: {output} exists already; name another')
    try:
        episode = Episode(seed, split)
        write = write_mp4 if output.suffix == '.mp4' else write_bag
        write(output, episode, seconds, size)
    except ValueError as error:
        raise ConfigError(str(error)) from error


@app.command('check-model')
@tells_errors_in_one_line
def check_model(
    model: Annotated[str, typer.Argument(help=f'model YAML, or {BUNDLED}', metavar='YAML')],
    fps: Annotated[float | None, _option(STREAM, StreamConfig, 'frame_fps', '--fps')] = None,
    as_json: Annotated[
        bool, typer.Option('--json', help='for programs', rich_help_panel=OUTPUT)
    ] = False,
    debug: Debug = False,
) -> None:
    """Say what a model needs (parameters, memory, files) without loading its weights."""
    changes = {} if fps is None else {'frame_fps': fps}
    config = load_config(model, **changes)

    from vlo_ros.footprint_command import run_check

    run_check(model, config, as_json=as_json)
