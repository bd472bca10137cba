# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is typed reaches the node, all of it and nothing else."""

import pytest

from vlo_ros.ros.person.listener import ListenerConfig
from vlo_ros.ros.person.node_options import parameters_of
from vlo_ros.ros.person.speaker import SpeakerConfig


def given(kind, line):
    parameters = parameters_of(kind, 'vlo x', 'Does it.', line.split())
    return {parameter.name: parameter.value for parameter in parameters}


@pytest.mark.parametrize(
    ('kind', 'line', 'expected'),
    [
        (ListenerConfig, '', {}),
        (SpeakerConfig, '', {}),
        (ListenerConfig, '--pause 0', {'pause': 0.0}),
        (ListenerConfig, '--longest 0 --time-limit 0', {'longest': 0.0, 'time_limit': 0.0}),
        (SpeakerConfig, '--words-per-minute 0', {'words_per_minute': 0}),
        (ListenerConfig, '--speaker=', {'speaker': ''}),
        (ListenerConfig, '--unstamped', {'unstamped': True}),
        (SpeakerConfig, '--answers-only --node /a', {'answers_only': True, 'node': '/a'}),
    ],
)
def test_what_is_given_comes_back_and_what_is_not_does_not(kind, line, expected):
    assert given(kind, line) == expected
