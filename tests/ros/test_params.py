# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters come from the dataclasses; what is refused says why."""

import dataclasses
import math

import pytest
import yaml
from rcl_interfaces.msg import ParameterType
from rclpy.node import Node
from rclpy.parameter import Parameter

from tests.ros.graph import GOLDEN, TINY_MODEL
from vlo_ros.config import ModelConfig, StreamConfig
from vlo_ros.errors import ConfigError
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.params import NodeParameters

CONFIG = GOLDEN.parents[1] / 'config'


@pytest.fixture
def declare(graph):
    """Make a node with the parameters of `vlo`, overridden as from a command line."""
    nodes = []

    def build(**overrides):
        overrides = {'model': str(TINY_MODEL), **overrides}
        node = Node(
            'vlo',
            context=graph.context,
            namespace=graph.namespace,
            parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in overrides.items()
            ],
        )
        nodes.append(node)
        changes = []
        return node, NodeParameters(node, changes.append), changes

    yield build
    for node in nodes:
        node.destroy_node()


def set_one(node, name, value):
    (result,) = node.set_parameters([Parameter(name, value=value)])
    return result


def test_every_setting_is_described(declare):
    node, _, _ = declare()
    for kind in (NodeConfig, StreamConfig, ModelConfig):
        for spec in dataclasses.fields(kind):
            name = f'model.{spec.name}' if kind is ModelConfig else spec.name
            described = node.describe_parameter(name)
            assert described.description == spec.metadata['doc']
            assert not described.dynamic_typing
    described = node.describe_parameter('silence_threshold')
    assert described.type == ParameterType.PARAMETER_DOUBLE
    (bounds,) = described.floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.0, 1.01)
    (bounds,) = node.describe_parameter('max_new_tokens').integer_range
    assert (bounds.from_value, bounds.to_value) == (1, 4096)
    assert 'live1+, live1' in node.describe_parameter('model.variant').additional_constraints


def test_what_is_given_overrides_the_yaml_and_the_rest_shows_it(declare, tmp_path):
    content = yaml.safe_load(TINY_MODEL.read_text())
    content['stream'] = {'frame_fps': 5, 'max_new_tokens': 7}
    other = tmp_path / 'other.yaml'
    other.write_text(yaml.safe_dump(content))
    node, parameters, _ = declare(model=str(other), frame_fps=3, model__dtype='float32', chunk=4)
    assert node.get_parameter('max_new_tokens').value == 7
    config = parameters.load()
    assert config.stream == StreamConfig(frame_fps=3.0, max_new_tokens=7, chunk='4')
    assert config.model.dtype == 'float32'
    # Another model: what nobody gave follows it, what somebody gave stays.
    assert set_one(node, 'model', str(TINY_MODEL)).successful
    config = parameters.load()
    assert (config.stream.frame_fps, config.stream.max_new_tokens) == (3.0, 100)
    assert node.get_parameter('max_new_tokens').value == 100


def test_none_is_nan_or_an_empty_string(declare):
    node, parameters, _ = declare()
    assert math.isnan(node.get_parameter('resume_silence_threshold').value)
    assert set_one(node, 'resume_silence_threshold', 1).successful
    assert parameters.load().stream.resume_silence_threshold == 1.0
    assert set_one(node, 'resume_silence_threshold', math.nan).successful
    assert parameters.load().stream.resume_silence_threshold is None
    assert set_one(node, 'model.adapter', '').successful
    assert parameters.load().model.adapter is None


def test_live_settings_change_at_once_and_integers_do_for_floats(declare):
    node, parameters, changes = declare()
    assert set_one(node, 'frame_fps', 4).successful
    assert changes == []  # nothing runs yet
    parameters.is_configured = True
    assert set_one(node, 'frame_fps', 8).successful
    assert set_one(node, 'silence_threshold', 0.5).successful
    assert set_one(node, 'system_prompt', 'Watch.').successful
    assert changes == [{'frame_fps': 8.0}, {'silence_threshold': 0.5}, {'system_prompt': 'Watch.'}]


@pytest.mark.parametrize(
    ('name', 'value', 'says'),
    [
        ('silence_threshold', 1.5, 'silence_threshold'),
        ('silence_threshold', math.nan, 'silence_threshold'),
        ('silence_threshold', 'high', 'Wrong parameter type'),
        ('resume_silence_threshold', 7.0, 'resume_silence_threshold: 7.0 is outside'),
        ('max_new_tokens', 0, 'max_new_tokens'),
        ('frame_fps', 0.0, 'frame_fps'),
        ('backlog_frames', 9, 'backlog_frames is read when the node is configured: clean it up'),
        ('model', 'bundled', 'model is read when the node is configured: clean it up first'),
        ('model.device', 'cpu', 'model.device is read when the node is configured'),
    ],
)
def test_a_value_that_is_refused_says_why_in_one_line(declare, name, value, says):
    node, parameters, changes = declare()
    parameters.is_configured = True
    before = node.get_parameter(name).value
    result = set_one(node, name, value)
    assert not result.successful
    assert says in result.reason
    assert '\n' not in result.reason
    after = node.get_parameter(name).value
    assert after == before or (math.isnan(after) and math.isnan(before))
    assert changes == []


def test_a_bad_override_is_kept_for_configure_until_a_good_value_is_set(declare):
    node, parameters, _ = declare(silence_threshold=7.0)
    assert node.get_parameter('silence_threshold').value == 0.725
    for _ in range(2):
        with pytest.raises(ConfigError, match=r'silence_threshold: 7.0 is outside 0.0 to 1.01'):
            parameters.load()
    assert set_one(node, 'silence_threshold', 0.7).successful
    assert parameters.load().stream.silence_threshold == 0.7


def test_other_parameters_are_none_of_our_business(declare):
    node, parameters, _ = declare()
    parameters.is_configured = True
    assert set_one(node, 'use_sim_time', True).successful


def test_the_shipped_parameter_file_names_only_settings_and_their_defaults(declare):
    content = yaml.safe_load((CONFIG / 'vlo.yaml').read_text())
    given = content['/**']['ros__parameters']
    declare(**given)
    defaults = dataclasses.asdict(NodeConfig())
    assert {name: value for name, value in given.items() if defaults[name] != value} == {}
