# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tests on real rclpy. Each test has a namespace of its own, the run a domain (./dev test ros)."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

# Images above 0.5 MB are nearly all lost on the default transport of Fast DDS.
os.environ.setdefault(
    'FASTDDS_BUILTIN_TRANSPORTS',
    'LARGE_DATA?max_msg_size=2MB&sockets_size=2MB&non_blocking=true',
)
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))

HAS_ROS = all(importlib.util.find_spec(name) for name in ('rclpy', 'vlo_ros.msg'))
if not HAS_ROS:
    collect_ignore_glob = ['test_*.py']


def pytest_report_header():
    return None if HAS_ROS else 'tests/ros: left out, they need ROS 2 and ./dev build'


def pytest_configure(config):
    # Third parties, at import: the parser behind rclpy's type support, transformers.
    for line in (
        "ignore:module 'sre_:DeprecationWarning",
        'ignore::FutureWarning:transformers',
        # rclpy, of a client that ended while it was being answered
        'ignore:failed to send response:RuntimeWarning',
    ):
        config.addinivalue_line('filterwarnings', line)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.ros)


@pytest.fixture
def graph():
    from tests.ros.graph import Graph

    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope='module')
def live_node(request, tmp_path_factory):
    """The node in a process of its own, for a whole module, whose PARAMETERS it takes."""
    from tests.ros.graph import Graph
    from tests.ros.live_vlo import live_vlo

    graph = Graph()
    with live_vlo(graph, tmp_path_factory.mktemp('vlo'), **request.module.PARAMETERS) as vlo:
        yield vlo
    graph.close()


@pytest.fixture
def live(live_node):
    """That node, its stream forgotten; `live.graph` watches it."""
    live_node.fresh()
    return live_node


@pytest.fixture(scope='module')
def scripted_camera(live_node):
    """A camera in a process of its own that sends what it is told."""
    from tests.ros.live_vlo import ScriptedCamera

    camera = ScriptedCamera(live_node.graph)
    live_node.meet(camera)
    yield camera
    camera.end()


@pytest.fixture
def measured(request):
    """Note a figure of this test, for docs/reliability.md: in its report and in its output."""

    def note(name, value):
        request.node.user_properties.append((name, value))
        print(f'measured: {name}: {value}')

    return note


@pytest.fixture(scope='session')
def scenes():
    """Frames (N, H, W, 3) of the test model's world: scene, event, noise = 6 x 4 x 6."""
    golden = Path(__file__).parents[1] / 'golden'
    frames = np.load(golden / 'live1plus' / 'frames.npz')['frames']
    return np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
