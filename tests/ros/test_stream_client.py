# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a person's program speaks to, and whose question an answer belongs to."""

import subprocess
import sys

import pytest
import rclpy

from vlo_ros import msg
from vlo_ros.errors import ConfigError
from vlo_ros.ros.person.stream_client import Asker, stream_prefix


@pytest.mark.parametrize(
    ('node', 'camera', 'prefix'),
    [('/vlo', '', '/vlo'), ('robot/vlo/', 'left', '/robot/vlo/left'), ('/v', '/a', '/v/a')],
)
def test_a_stream_is_in_front_of_its_topics(node, camera, prefix):
    assert stream_prefix(node, camera) == prefix


@pytest.mark.parametrize(
    ('node', 'camera'),
    [
        *(('my robot', ''), ('/vlo', 'the left'), ('', ''), ('/', ''), ('/a//b', ''), ('/2', '')),
        *(('~', ''), ('/v\u00e4', ''), ('/vlo\n', ''), ('/' + 'x' * 300, '')),
    ],
)
def test_what_is_no_name_of_a_node_is_refused_in_one_line(node, camera):
    with pytest.raises(ConfigError, match='such as /robot/vlo: letters') as caught:
        stream_prefix(node, camera)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'arguments',
    [
        ['chat'],
        ['latency', '--live'],
        ['web'],
        ['listen', '--recorder', 'cat', '--command', 'cat {wav}'],
        ['speak', '--engine', 'command', '--command', 'cat {wav}', '--output-folder', '.'],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_says_so_in_one_line(arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'vlo_ros', *arguments, '--node', 'my robot'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "'/my robot' is not the full name of a node" in done.stderr
    assert done.stderr.strip().count('\n') == 0, done.stderr


def test_askers_of_one_name_give_different_numbers(graph):
    graph.watcher.create_publisher(msg.Response, 'vlo/response', 10)
    queries, told = graph.listen('vlo/query', msg.Query), []
    for _ in range(2):  # as in two containers: one name, one process number
        node = rclpy.create_node('vlo_chat_7', context=graph.context, namespace=graph.namespace)
        graph.start(node)
        asker = Asker(
            node,
            f'{graph.namespace}/vlo',
            on_asked=lambda query_id, text: told.append(query_id),
            note=told.append,
        )
        asker.ask('Where am I?')
        asker.ask('What is this?')
    graph.wait_for(lambda: len(queries) == 4)
    assert len({query.query_id for query in queries}) == 4
    assert sorted(query.query_id for query in queries) == sorted(told)
    assert all(query.query_id.startswith('vlo_chat_7_') for query in queries)
