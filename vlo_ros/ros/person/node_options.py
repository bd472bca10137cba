# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a command in place of the parameters of its node."""

from __future__ import annotations

import argparse
import dataclasses

from rclpy.parameter import Parameter


def parameters_of(kind: type, name: str, doc: str, arguments: list[str]) -> list[Parameter]:
    """Read `--setting value` for the settings of a dataclass; only what is given comes back.

    Args:
        kind: Dataclass of settings.
        name: Of the command.
        doc: Its first line is the command's help.
        arguments: What was typed behind the name.
    """
    parser = argparse.ArgumentParser(
        prog=name, description=doc.splitlines()[0], argument_default=argparse.SUPPRESS
    )
    for spec in dataclasses.fields(kind):
        option = f'--{spec.name.replace("_", "-")}'
        if isinstance(spec.default, bool):
            parser.add_argument(option, action='store_true', help=spec.metadata['doc'])
        else:
            parser.add_argument(
                option,
                type=type(spec.default),
                choices=spec.metadata['choices'],
                help=spec.metadata['doc'],
            )
    return [
        Parameter(setting, value=value)
        for setting, value in vars(parser.parse_args(arguments)).items()
    ]
