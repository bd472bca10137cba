# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters, declared from the dataclasses that the command line and training use.

    model             model YAML, or 'bundled'
    NAME              a setting of NodeConfig or StreamConfig; a stream setting overrides the YAML
    model.NAME        a setting of ModelConfig; overrides the YAML

Until a value is given, a parameter shows what the model's YAML says. Live settings change at once,
`system_prompt` and `instruction` at the next reset, all others while the node is unconfigured.
A value that is refused says why in one line.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from vlo_ros.config import (
    BUNDLED,
    ModelConfig,
    StreamConfig,
    VloConfig,
    check_value,
    load_config,
)
from vlo_ros.errors import ConfigError
from vlo_ros.ros.node_config import NodeConfig

T = TypeVar('T')
AT_RESET = ('system_prompt', 'instruction')


@dataclass(frozen=True)
class _Declared:
    """One setting as a parameter."""

    kind: type
    spec: dataclasses.Field[Any]
    hint: Any

    @property
    def name(self) -> str:
        return f'model.{self.spec.name}' if self.kind is ModelConfig else self.spec.name

    @property
    def is_optional(self) -> bool:
        return type(None) in typing.get_args(self.hint)

    @property
    def type(self) -> type:
        """The plain type: bool, int, float, str or tuple."""
        kinds = [kind for kind in typing.get_args(self.hint) if kind is not type(None)]
        return kinds[0] if self.is_optional else (typing.get_origin(self.hint) or self.hint)

    def to_ros(self, value: Any) -> Any:
        """ROS has no None and no empty list: '' or nan stands for the one, [''] for the other."""
        if value is None:
            return math.nan if self.type is float else ''
        return list(value) or [''] if self.type is tuple else value

    def from_ros(self, value: Any) -> Any:
        """Return the setting's value, checked.

        Raises:
            ConfigError: Wrong type or out of range.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.type is tuple and isinstance(value, list | tuple):
            value = tuple(part for part in value if part)
        if self.type is str and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # `-p chunk:=8`
        if type(value) is not self.type:
            raise ConfigError(f'{self.name}: {value!r} is not a {self.type.__name__}')
        if self.is_optional and (value == '' or value != value):
            return None
        check_value(self.kind.section, self.spec, value)
        dataclasses.replace(
            self.kind(), **{self.spec.name: value}
        )  # checks that span more than it
        return value

    def descriptor(self) -> ParameterDescriptor:
        metadata = self.spec.metadata
        described = ParameterDescriptor(name=self.name, description=metadata['doc'])
        if metadata['choices']:
            described.additional_constraints = 'one of ' + ', '.join(metadata['choices'])
        elif self.name in AT_RESET:
            described.additional_constraints = 'applied at the next reset'
        elif not metadata['live']:
            described.additional_constraints = 'read when the node is configured'
        least, greatest = metadata['ge'], metadata['le']
        if self.is_optional or least is None or greatest is None:
            return described
        if self.type is int:
            described.integer_range = [IntegerRange(from_value=int(least), to_value=int(greatest))]
        if self.type is float:
            bounds = FloatingPointRange(from_value=float(least), to_value=float(greatest))
            described.floating_point_range = [bounds]
        return described


def declared_settings(*kinds: type) -> list[_Declared]:
    """Every setting of the dataclasses, in order; by default those of the node."""
    return [
        _Declared(kind, spec, hints[spec.name])
        for kind in kinds or (NodeConfig, StreamConfig, ModelConfig)
        for hints in [typing.get_type_hints(kind)]
        for spec in dataclasses.fields(kind)
    ]


def read_override(node: Node, declared: _Declared) -> dict[str, Any]:
    """Take what command line, launch or parameter file say of a setting: {} or {name: value}.

    Raises:
        ConfigError: Wrong type or out of range.
    """
    loose = ParameterDescriptor(dynamic_typing=True)  # an integer is as good as a float
    value = node.declare_parameter(declared.name, None, loose).value
    node.undeclare_parameter(declared.name)
    return {} if value is None else {declared.name: declared.from_ros(value)}


def declare_once(node: Node, kind: type[T]) -> T:
    """Declare the settings of one dataclass as parameters that never change.

    Raises:
        ConfigError: One of them has a bad value.
    """
    given: dict[str, Any] = {}
    for declared in declared_settings(kind):
        given |= read_override(node, declared)
        value = given.get(declared.name, declared.spec.default)
        descriptor = declared.descriptor()
        descriptor.read_only = True
        node.declare_parameter(
            declared.name, declared.to_ros(value), descriptor, ignore_override=True
        )
    return kind(**given)


class NodeParameters:
    """The parameters of one node.

    Attributes:
        is_configured: Whether settings that are not live are in use; the node sets it.
    """

    def __init__(self, node: Node, on_live_change: Callable[[dict[str, Any]], None]) -> None:
        """Declare everything; a bad override is kept for `load` to complain about.

        Args:
            node: The node.
            on_live_change: Told names and values of live settings that were changed.
        """
        self.is_configured = False
        self._node = node
        self._on_live_change = on_live_change
        self._settings = {declared.name: declared for declared in declared_settings()}
        self._given: dict[str, Any] = {}  # what a person chose, by parameter name
        self._refused: dict[str, str] = {}  # bad overrides, until a good value is set
        self._is_loading = False
        for declared in self._settings.values():
            try:
                self._given.update(read_override(node, declared))
            except ConfigError as error:
                self._refused[declared.name] = str(error)
        defaults = self._yaml_values_or_defaults()
        for name, declared in self._settings.items():
            value = declared.to_ros(self._given.get(name, defaults[name]))
            node.declare_parameter(name, value, declared.descriptor(), ignore_override=True)
        node.add_pre_set_parameters_callback(self._widen_integers)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._accept)

    def node_config(self) -> NodeConfig:
        """The node's own settings.

        Raises:
            ConfigError: One of them was given a bad value at start.
        """
        for line in self._refused.values():
            raise ConfigError(line)
        names = [spec.name for spec in dataclasses.fields(NodeConfig)]
        return NodeConfig(**{name: self._given[name] for name in names if name in self._given})

    def load(self) -> VloConfig:
        """Read the model's YAML, override it with what was given, and show the outcome.

        Raises:
            ConfigError: The YAML or a parameter is bad; one line.
        """
        model = self.node_config().model
        changes = {
            self._settings[name].spec.name: value
            for name, value in self._given.items()
            if self._settings[name].kind is not NodeConfig
        }
        config = load_config(model, **changes)
        self._is_loading = True
        try:
            self._node.set_parameters(
                [
                    Parameter(name, value=self._settings[name].to_ros(value))
                    for name, value in _values_of(config).items()
                ]
            )
        finally:
            self._is_loading = False
        return config

    def _yaml_values_or_defaults(self) -> dict[str, Any]:
        try:
            config = load_config(self._given.get('model', BUNDLED))
        except ConfigError:  # configure will say so
            config = VloConfig()
        return {**dataclasses.asdict(NodeConfig()), **_values_of(config)}

    def _widen_integers(self, parameters: list[Parameter]) -> list[Parameter]:
        """`ros2 param set /vlo frame_fps 4` sends an integer."""
        return [
            Parameter(parameter.name, value=float(parameter.value))
            if parameter.type_ == Parameter.Type.INTEGER
            and (declared := self._settings.get(parameter.name)) is not None
            and declared.type is float
            else parameter
            for parameter in parameters
        ]

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            declared = self._settings.get(parameter.name)
            if declared is None or self._is_loading:  # not ours: use_sim_time, qos_overrides
                continue
            try:
                declared.from_ros(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            changes_now = declared.spec.metadata['live'] or declared.name in AT_RESET
            if self.is_configured and not changes_now:
                reason = f'{declared.name} is read when the node is configured: clean it up first'
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _accept(self, parameters: list[Parameter]) -> None:
        if self._is_loading:
            return
        changes = {}
        for parameter in parameters:
            if declared := self._settings.get(parameter.name):
                value = declared.from_ros(parameter.value)
                self._given[parameter.name] = value
                self._refused.pop(parameter.name, None)
                changes[declared.spec.name] = value
        if changes and self.is_configured:
            self._on_live_change(changes)


def _values_of(config: VloConfig) -> dict[str, Any]:
    """Settings of a model YAML by parameter name."""
    model = {f'model.{name}': value for name, value in dataclasses.asdict(config.model).items()}
    return {**dataclasses.asdict(config.stream), **model}
