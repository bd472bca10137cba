# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of `vlo` for a person beside the node: doctor, chat, web, speak, listen, annotate, ...

Programs that need ROS are started by name: this module and the core never import them. Each takes
the arguments behind its name; `vlo chat --help` is its own help.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import BUNDLED, load_config
from vlo_ros.config_options import parse_settings
from vlo_ros.errors import VloError, one_line

app = typer.Typer()
ROS_PROGRAMS = 'vlo_ros.ros.person'
PASS_ON = {'ignore_unknown_options': True, 'allow_extra_args': True, 'help_option_names': []}


@app.command()
@tells_errors_in_one_line
def doctor(
    image: Annotated[
        str, typer.Option(help='camera topic; without it the one that the node watches')
    ] = '',
    transport: Annotated[str, typer.Option(help='raw or compressed')] = 'raw',
    node: Annotated[str, typer.Option(help='full name of the node')] = '/vlo',
    model: Annotated[str, typer.Option(help=f'model YAML, or {BUNDLED}')] = BUNDLED,
    seconds: Annotated[
        float, typer.Option(help='how long to listen to the camera', min=0.2, max=60.0)
    ] = 2.0,
    as_json: Annotated[bool, typer.Option('--json', help='for programs')] = False,
) -> None:
    """Look for what keeps the node from working, and say what to do about it."""
    if transport not in ('raw', 'compressed'):
        raise VloError(f"--transport: {transport!r} is neither 'raw' nor 'compressed'")

    from vlo_ros.doctor.command import run_doctor

    run_doctor(model, image, transport, node, seconds, as_json=as_json)


@app.command()
@tells_errors_in_one_line
def annotate(
    bag: Annotated[Path, typer.Argument(help='rosbag2: folder, .mcap or .db3')],
    output: Annotated[
        Path, typer.Option('--output', '-o', help='folder of the copy; must not exist')
    ],
    model: Annotated[str, typer.Option(help=f'model YAML, or {BUNDLED}')] = BUNDLED,
    topic: Annotated[str | None, typer.Option(help='image topic, where there are several')] = None,
    queries: Annotated[
        Path | None,
        typer.Option(help='what to ask, one {"time": seconds, "text": "..."} a line'),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option('--set', help='a setting, e.g. --set frame_fps=4; may be repeated'),
    ] = None,
    node: Annotated[str, typer.Option(help='in front of the topics that are added')] = '/vlo',
    storage: Annotated[
        str, typer.Option(help='mcap or sqlite3; without it what the bag has')
    ] = '',
) -> None:
    """Copy a bag with decisions, responses and overlay pictures added, for any bag tool."""
    config = load_config(model, **parse_settings(settings or []))

    from vlo_ros.annotate_command import run_annotate

    run_annotate(bag, config, output, queries, topic, node, storage)


@app.command()
@tells_errors_in_one_line
def latency(
    bag: Annotated[
        Path | None, typer.Argument(help='a bag recorded while the node ran; or give --live')
    ] = None,
    live: Annotated[bool, typer.Option('--live', help='of the running node')] = False,
    node: Annotated[str, typer.Option(help='live: full name of the node')] = '/vlo',
    camera: Annotated[str, typer.Option(help='live: its camera, where it has several')] = '',
    seconds: Annotated[
        float, typer.Option(help='live: how long to listen', min=0.1, max=86400.0)
    ] = 30.0,
    as_json: Annotated[bool, typer.Option('--json', help='for programs')] = False,
) -> None:
    """Percentiles from capture to decision, first token and finished response."""
    if live == (bag is not None):
        raise VloError('latency: give either a bag or --live')
    if bag is None:
        arguments = ['--node', node, '--camera', camera, '--seconds', str(seconds)]
        run_ros_program('latency', [*arguments, *(['--json'] if as_json else [])])
        return

    from vlo_ros.latency import print_report, read_bag

    print_report(read_bag(bag), as_json=as_json)


@app.command(context_settings=PASS_ON)
@tells_errors_in_one_line
def chat(context: typer.Context) -> None:
    """Read what the node says, and type questions to it, from any computer on the graph."""
    run_ros_program('chat', context.args)


@app.command(context_settings=PASS_ON)
@tells_errors_in_one_line
def speak(context: typer.Context) -> None:
    """Say aloud what the node responds, sentence by sentence."""
    run_ros_program('speaker', context.args)


@app.command(context_settings=PASS_ON)
@tells_errors_in_one_line
def listen(context: typer.Context) -> None:
    """Ask the node what a person says aloud."""
    run_ros_program('listener', context.args)


@app.command(context_settings=PASS_ON)
@tells_errors_in_one_line
def web(context: typer.Context) -> None:
    """Show live picture, transcript, sliders and plots on a page, and take questions there."""
    run_ros_program('web.program', context.args)


def run_ros_program(name: str, arguments: list[str]) -> None:
    """Run a program of the ROS side.

    Raises:
        VloError: ROS is not there.
        typer.Exit: With the program's exit status.
    """
    try:
        program = importlib.import_module(f'{ROS_PROGRAMS}.{name}')
    except ImportError as error:  # no ROS, no built messages, or no package of the extra `person`
        raise VloError(
            f'{one_line(error)}; `vlo doctor` tells what to do about ROS, and `pip install '
            "'.[person]'` in the checkout brings the rest"
        ) from error
    raise typer.Exit(program.main(arguments))
