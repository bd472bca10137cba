# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How every command of `vlo` tells a person what went wrong: in one line."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import typer

from vlo_ros.errors import VloError

Command = TypeVar('Command', bound=Callable[..., None])


def tells_errors_in_one_line(command: Command) -> Command:
    """Turn what a person did wrong into one line on stderr and exit status 1."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        debug = bool(options.get('debug'))
        try:
            with _log_on_stderr(debug):
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


@contextlib.contextmanager
def _log_on_stderr(debug: bool) -> Iterator[None]:
    """Show our own log lines; of what libraries mutter only errors, unless debugging."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter('vlo: %(message)s'))
    ours, root, silent = logging.getLogger('vlo_ros'), logging.getLogger(), logging.NullHandler()
    ours.addHandler(handler)
    root.addHandler(silent)
    ours.setLevel(logging.DEBUG if debug else logging.WARNING)
    if not debug:
        warnings.simplefilter('ignore')
        os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')
        logging.getLogger('torch.utils._pytree').setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        root.removeHandler(silent)
