# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files: what they come to, and that it runs."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from tests.ros import launch_standin
from tests.ros.graph import TINY_MODEL
from tests.ros.processes import START_S, process, state_of

LAUNCH = Path(__file__).parents[2] / 'launch'


def parameters_of(argv):
    """Parameters by name, as rcl merges the files in order."""
    merged = {}
    for flag, path in itertools.pairwise(argv):
        if flag == '--params-file':
            merged |= yaml.safe_load(Path(path).read_text())['/**']['ros__parameters']
    return merged


def remappings_of(argv):
    return [rule for flag, rule in itertools.pairwise(argv) if flag == '-r']


def bring_up_of(context):
    """Argv of what launch starts beside the node, each time that the node starts."""
    (handler,) = context.handlers
    with launch_standin.standing_in():
        actions = handler.on_start(None, context)
    following = launch_standin.Context(context.folder, {})
    launch_standin.run_all(actions, following)
    ((_, argv, _),) = following.processes
    return argv


def executable(name):
    try:
        return str(Path(get_package_prefix('vlo_ros')) / 'lib' / 'vlo_ros' / name)
    except PackageNotFoundError:
        pytest.skip('the package is not installed: ./dev build')


def test_defaults_configure_and_activate_one_node(tmp_path):
    context = launch_standin.launch(LAUNCH / 'vlo.launch.py', tmp_path)
    ((node, argv, environment),) = context.processes
    assert argv[:4] == ['vlo_node', '--ros-args', '-r', '__node:=vlo']
    assert remappings_of(argv) == ['__node:=vlo', 'image:=image']
    parameters = parameters_of(argv)
    assert parameters['model'] == 'bundled'
    assert parameters['use_sim_time'] is False
    assert 'silence_threshold' not in parameters
    assert environment == {}
    assert node.respawn
    (handler,) = context.handlers
    assert handler.target_action is node
    assert bring_up_of(context)[:3] == ['bring_up', '--node', '/vlo']


def test_every_argument_arrives(tmp_path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**: {ros__parameters: {model: other.yaml, stale_after: 9.0}}')
    context = launch_standin.launch(
        LAUNCH / 'vlo.launch.py',
        tmp_path,
        image='/camera/image_raw',
        transport='compressed',
        model='my.yaml',
        params=str(mine),
        namespace='robot',
        threshold='0.5',
        use_sim_time='true',
        autostart='false',
        respawn='false',
        large_data='true',
    )
    ((node, argv, environment),) = context.processes
    assert remappings_of(argv) == ['__node:=vlo', '__ns:=/robot', 'image:=/camera/image_raw']
    assert parameters_of(argv) == {
        'model': 'my.yaml',
        'stale_after': 9.0,
        'image_transport': 'compressed',
        'silence_threshold': 0.5,
        'use_sim_time': True,
    }
    assert environment['FASTDDS_BUILTIN_TRANSPORTS'].startswith('LARGE_DATA')
    assert context.handlers == []
    assert not node.respawn


def test_demo_starts_a_camera_and_the_node(tmp_path):
    context = launch_standin.launch(LAUNCH / 'demo.launch.py', tmp_path, source='kitchen.mcap')
    (_, camera, environment), (_, vlo, _) = context.processes
    assert (camera[0], vlo[0]) == ('camera', 'vlo_node')
    assert parameters_of(camera)['source'] == 'kitchen.mcap'
    assert parameters_of(vlo)['model'] == 'bundled'
    assert environment['FASTDDS_BUILTIN_TRANSPORTS'].startswith('LARGE_DATA')
    assert bring_up_of(context)[:3] == ['bring_up', '--node', '/vlo']


def test_what_demo_comes_to_runs_and_speaks(graph, scenes, tmp_path):
    """The installed executables, started with the argv that launch builds."""
    graph.hear()
    context = launch_standin.launch(
        LAUNCH / 'demo.launch.py',
        tmp_path,
        source=str(TINY_MODEL.parent / 'frames.npz'),
        model=str(TINY_MODEL),
        threshold='1.01',
        namespace=graph.namespace,
    )
    (_, camera, environment), (_, vlo, _) = context.processes
    camera[0], vlo[0] = executable(camera[0]), executable(vlo[0])
    with (
        process(camera, tmp_path / 'camera.log', **environment) as camera_process,
        process(vlo, tmp_path / 'vlo.log', **environment) as vlo_process,
    ):
        bring_up = bring_up_of(context)
        bring_up[0] = executable(bring_up[0])
        with process(bring_up, tmp_path / 'bring_up.log') as bring_up_process:
            graph.wait_for(
                lambda: {bring_up_process.poll(), vlo_process.poll()} != {None},
                START_S,
            )
            assert bring_up_process.poll() == 0, (tmp_path / 'vlo.log').read_text()
        assert state_of(graph, 'vlo') == 'active'
        response = graph.wait_for(lambda: graph.heard('response'))[0]
        assert response.header.frame_id == 'camera'
    assert (camera_process.returncode, vlo_process.returncode) == (0, 0)
    assert 'Traceback' not in (tmp_path / 'vlo.log').read_text()


@pytest.mark.ros_full
@pytest.mark.timeout(600)
def test_real_launch_brings_the_node_to_active():
    """launch_testing_vlo.py under launch_testing, in a process of its own as `ros2 launch` is."""
    pytest.importorskip('launch_testing', reason='launch_testing is not installed')
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'launch_testing.launch_test',
            str(Path(__file__).with_name('launch_testing_vlo.py')),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
