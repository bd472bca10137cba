# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings given on a command line instead of in a YAML."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from vlo_ros.config import ModelConfig, StreamConfig, VloConfig, refuse_unknown, section_from
from vlo_ros.errors import ConfigError

WHERE = 'command line'


def config_of_parts(parts: Mapping[str, str | None], **changes: Any) -> VloConfig:
    """Build a configuration from the parts of a model; their paths start at the working folder.

    Raises:
        ConfigError: A part is missing, or a setting is unknown or out of range.
    """
    given = {name: value for name, value in parts.items() if value}
    missing = [f'--{name}' for name in parts if name not in given]
    if missing:
        raise ConfigError(f'{WHERE}: {" and ".join(missing)} must be given too')
    model = section_from(ModelConfig, given, WHERE, changes)
    stream = section_from(StreamConfig, {}, WHERE, changes)
    refuse_unknown(changes)
    return VloConfig(model, stream)


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse 'NAME=VALUE' pairs; the value of a text setting is taken as it is, others as YAML.

    Raises:
        ConfigError: A pair without '=', or a value that is not YAML.
    """
    hints = typing.get_type_hints(ModelConfig) | typing.get_type_hints(StreamConfig)
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals:
            raise ConfigError(f'--set {pair}: expected NAME=VALUE')
        try:
            values[name] = text if hints.get(name) is str else yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f'--set {name}: {text!r} is not a value') from error
    return values
