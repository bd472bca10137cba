# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of `vlo` that belong to the training programs, where those are installed.

They are started by name: the core never imports them. Each takes the arguments behind its name;
`vlo learn --help` is its own help.
"""

from __future__ import annotations

import importlib

import typer

from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.errors import VloError

app = typer.Typer()
PROGRAMS = 'training'
PASS_ON = {'ignore_unknown_options': True, 'allow_extra_args': True, 'help_option_names': []}


@app.command(context_settings=PASS_ON)
@tells_errors_in_one_line
def learn(context: typer.Context) -> None:
    """Teach a model from bags with notes: features, LoRA, scores before and after, model YAML."""
    run_training_program('learn', context.args)


def run_training_program(name: str, arguments: list[str]) -> None:
    """Run a training program.

    Raises:
        VloError: The training programs are not installed.
    """
    try:
        program = importlib.import_module(f'{PROGRAMS}.{name}')
    except ModuleNotFoundError as error:
        raise VloError(
            f"{name} needs {error.name}, which is not here; pip install '.[train]' in the checkout"
        ) from error
    program.run(arguments)
