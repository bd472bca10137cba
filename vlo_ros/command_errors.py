"""How every command of `vlo` tells a person what went wrong: in one line."""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import typer

from vlo_ros.errors import VloError

Command = TypeVar('Command', bound=Callable[..., None])


def tells_errors_in_one_line(command: Command) -> Command:
    """Turn what a person did wrong into one line on stderr and exit status 1."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        debug = bool(options.get('debug'))
        logging.basicConfig(format='vlo: %(message)s', level=logging.WARNING)
        logging.getLogger('vlo_ros').setLevel(logging.DEBUG if debug else logging.WARNING)
        if not debug:
            # What libraries mutter about their own future is nothing a person here can change.
            warnings.simplefilter('ignore')
            os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')
        try:
            command(*args, **options)
        except VloError as error:
            if debug:
                raise
            typer.secho(f'vlo: {error}', fg=typer.colors.RED, err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            typer.secho('vlo: interrupted', err=True)
            raise typer.Exit(130) from error

    return cast(Command, run)
