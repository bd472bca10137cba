# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every mistake that is planted in the facts is found, with the right fix, and nothing else is."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlo_ros.doctor.command import describe, examine, print_table
from vlo_ros.doctor.facts import Facts, GpuFacts, ModelFacts, RosFacts
from vlo_ros.doctor.finding import Level
from vlo_ros.fast_dds import LARGE_BYTES

ROOT = Path(__file__).resolve().parents[1]
RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
LARGE_DATA = 'LARGE_DATA?max_msg_size=2MB'
CAMERA = {'node': '/camera', 'reliable': True, 'transports': LARGE_DATA}
ARRIVALS = {
    'count': 60,
    'rate': 30.0,
    'listened_s': 2.0,
    'num_bytes': 921_700,
    'num_zero_stamps': 0,
    'num_backward_stamps': 0,
    'age_s': 0.02,
    'frame_ids': ['eye'],
    'encoding': 'rgb8',
    'unreadable': None,
    'reliable_rate': 30.0,
}
GRAPH = {
    'rmw': 'rmw_fastrtps_cpp',
    'nodes': ['/camera', '/vlo'],
    'image_topics': ['/image'],
    'image': '/image',
    'image_types': [RAW],
    'has_compressed': False,
    'publishers': [CAMERA],
    'incompatible': [],
    'arrivals': ARRIVALS,
    'node_state': 'active',
}
GPU = GpuFacts(
    ('H100',), '12.8', '2.13.0', '12.8', True, ('sm_80', 'sm_90'), 'sm_90', flash_attn='2.8.0'
)
HEALTHY = Facts(
    environ={'FASTDDS_BUILTIN_TRANSPORTS': LARGE_DATA, 'ROS_DOMAIN_ID': '7'},
    python=(3, 12),
    ros=RosFacts(True, '', True, 'jazzy'),
    shared_memory_bytes=2_000_000_000,
    shared_memory_litter=0,
    disk_free_bytes=100_000_000_000,
    gpu=GPU,
    model=ModelFacts('x.yaml', needed_bytes=1e9, device='cpu', device_bytes=8e9),
    frame_fps=2.0,
    graph=GRAPH,
)
PAIR = {'publisher': '/camera', 'subscriber': '/vlo'}
UNRELIABLE = 'ERROR: Best effort publisher and reliable subscription;'
FORGETFUL = 'ERROR: Volatile publisher and transient local subscription;'
PLANTED = {
    'old Python': ({'python': (3, 9)}, 'Python', 'error', '3.11'),
    'ROS is not sourced': (
        {'ros': RosFacts(False, '', False, ''), 'graph': None},
        'ROS 2',
        'error',
        'source /opt/ros',
    ),
    'rclpy of another Python': (
        {'ros': RosFacts(False, 'No module named _rclpy', True, 'jazzy')},
        'ROS 2',
        'error',
        'fresh shell',
    ),
    'a ROS that is not tested': (
        {'ros': RosFacts(True, '', True, 'foxy')},
        'ROS 2',
        'warning',
        'source one',
    ),
    'not built': ({'ros': RosFacts(True, '', False, 'jazzy')}, 'messages', 'error', './dev build'),
    'no number as domain': ({'environ': {'ROS_DOMAIN_ID': 'lab'}}, 'domain', 'error', '0 to 101'),
    'domain among the ports': (
        {'environ': {'ROS_DOMAIN_ID': '150'}},
        'domain',
        'warning',
        '0 to 101',
    ),
    'alone in the world': (
        {'environ': {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}},
        'discovery',
        'error',
        'LOCALHOST',
    ),
    'no other machine': (
        {'environ': {'ROS_LOCALHOST_ONLY': '1'}},
        'discovery',
        'warning',
        'unset ROS_LOCALHOST_ONLY',
    ),
    'default transport here': (
        {'environ': {}},
        'transport here',
        'warning',
        'export FASTDDS_BUILTIN_TRANSPORTS',
    ),
    'no shared memory': (
        {'shared_memory_bytes': None},
        'shared memory',
        'warning',
        '--ipc=host',
    ),
    'shared memory is full': (
        {'shared_memory_bytes': 5_000_000},
        'shared memory',
        'error',
        '--shm-size',
    ),
    'litter in shared memory': (
        {'shared_memory_litter': 500},
        'shared memory',
        'warning',
        'fastdds shm clean',
    ),
    'PyTorch without CUDA': (
        {'gpu': dataclasses.replace(GPU, torch_cuda='', is_usable=False)},
        'GPU',
        'error',
        'CUDA build',
    ),
    'CUDA newer than the driver': (
        {'gpu': dataclasses.replace(GPU, torch_cuda='13.0', is_usable=False)},
        'GPU',
        'error',
        'update the driver',
    ),
    'a card that cannot be used': (
        {'gpu': dataclasses.replace(GPU, is_usable=False)},
        'GPU',
        'error',
        'CUDA_VISIBLE_DEVICES',
    ),
    'no kernels for the card': (
        {'gpu': dataclasses.replace(GPU, capability='sm_120')},
        'GPU',
        'error',
        'built for this card',
    ),
    'flash-attn of another PyTorch': (
        {'gpu': dataclasses.replace(GPU, flash_attn='broken: undefined symbol')},
        'flash-attn',
        'error',
        'pip uninstall flash-attn',
    ),
    'model YAML is not there': (
        {'model': ModelFacts('x.yaml', error='model YAML x.yaml: No such file')},
        'model',
        'error',
        'check-model',
    ),
    'weights are missing': (
        {'model': ModelFacts('x.yaml', missing=('model.llm /m: missing: model.safetensors',))},
        'model',
        'error',
        'download the files again',
    ),
    'too little memory': (
        {'model': ModelFacts('x.yaml', needed_bytes=2e10, device='cpu', device_bytes=8e9)},
        'model memory',
        'error',
        'int4',
    ),
    'disk is full': ({'disk_free_bytes': 1000}, 'disk', 'error', 'HF_HOME'),
}
PLANTED_ON_GRAPH = {
    'nobody publishes': ({'publishers': []}, 'camera topic', 'error', 'ROS_DOMAIN_ID'),
    'no camera at all': (
        {'image': None, 'publishers': [], 'image_topics': []},
        'camera topic',
        'error',
        'start the camera',
    ),
    'several topics, none named': (
        {'image': None, 'publishers': [], 'image_topics': ['/a', '/b']},
        'camera topic',
        'error',
        '--image',
    ),
    'two cameras': (
        {'publishers': [CAMERA, {**CAMERA, 'node': '/other'}]},
        'camera topic',
        'warning',
        'cameras',
    ),
    'compressed': ({'image_types': [COMPRESSED]}, 'camera type', 'error', ':=compressed'),
    'no image at all': (
        {'image_types': ['std_msgs/msg/String']},
        'camera type',
        'error',
        'remap image',
    ),
    'QoS': (
        {'incompatible': [{**PAIR, 'reason': UNRELIABLE}]},
        'camera QoS',
        'error',
        '/vlo: subscribe best effort (qos_overrides./image.subscription.reliability',
    ),
    'QoS of another program': (
        {'incompatible': [{**PAIR, 'subscriber': '/rviz', 'reason': UNRELIABLE}]},
        'camera QoS',
        'warning',
        '/rviz: subscribe best effort',
    ),
    'QoS of no known kind': (
        {'incompatible': [{**PAIR, 'reason': 'ERROR: Phase of the moon;'}]},
        'camera QoS',
        'error',
        '/vlo: ask for the QoS that is offered',
    ),
    'default transport there': (
        {'publishers': [{**CAMERA, 'transports': ''}]},
        'transport there',
        'error',
        'start the camera again',
    ),
    'node is not there': ({'node_state': None}, 'node', 'warning', 'ros2 launch'),
    'node is inactive': ({'node_state': 'inactive'}, 'node', 'warning', '/vlo activate'),
    'node is unconfigured': ({'node_state': 'unconfigured'}, 'node', 'warning', 'configure'),
    'node hangs': ({'node_state': ''}, 'node', 'error', 'log'),
    'two nodes of one name': ({'nodes': ['/vlo', '/vlo']}, 'node', 'error', 'namespace'),
}
PLANTED_IN_IMAGES = {
    'lost on the way': ({'rate': 1.0}, 'camera rate', 'error', 'FASTDDS_BUILTIN_TRANSPORTS'),
    'nothing comes': (
        {'count': 0, 'rate': 0.0, 'age_s': None, 'encoding': None, 'reliable_rate': 0.0},
        'camera rate',
        'error',
        'look at the camera',
    ),
    'one comes, and then none': (
        {'count': 0, 'rate': 0.0, 'reliable_rate': 0.0},
        'camera rate',
        'warning',
        'let the camera run faster',
    ),
    'too slow': (
        {'rate': 0.5, 'reliable_rate': 0.5},
        'camera rate',
        'warning',
        'frame_fps lower',
    ),
    'no stamps': ({'num_zero_stamps': 60}, 'camera stamps', 'error', 'header.stamp'),
    'stamps go back': ({'num_backward_stamps': 3}, 'camera stamps', 'error', 'in order'),
    'two cameras, one topic': (
        {'num_backward_stamps': 3, 'frame_ids': ['l', 'r']},
        'camera stamps',
        'error',
        'its own',
    ),
    'a bag of last year': ({'age_s': 4e7}, 'camera stamps', 'warning', 'use_sim_time'),
    'a clock ahead': ({'age_s': -300.0}, 'camera stamps', 'warning', 'chrony'),
    'an encoding that is not read': (
        {'encoding': '32FC1', 'unreadable': "image '32FC1': encoding is not read"},
        'camera encoding',
        'error',
        'rgb8',
    ),
}


def poor(findings):
    return [finding for finding in findings if finding.level in (Level.ERROR, Level.WARNING)]


def assert_found(facts, check, level, fix):
    found = {finding.check: finding for finding in poor(examine(facts))}
    assert check in found, f'found only {sorted(found)}'
    assert found[check].level.value == level
    assert fix in found[check].fix
    assert found[check].message and '\n' not in found[check].message + found[check].fix


def test_a_healthy_robot_is_left_in_peace():
    assert poor(examine(HEALTHY)) == []


@pytest.mark.parametrize('mistake', PLANTED)
def test_a_mistake_on_the_machine_is_found(mistake):
    changes, check, level, fix = PLANTED[mistake]
    assert_found(dataclasses.replace(HEALTHY, **changes), check, level, fix)


@pytest.mark.parametrize('mistake', PLANTED_ON_GRAPH)
def test_a_mistake_on_the_graph_is_found(mistake):
    changes, check, level, fix = PLANTED_ON_GRAPH[mistake]
    assert_found(dataclasses.replace(HEALTHY, graph={**GRAPH, **changes}), check, level, fix)


@pytest.mark.parametrize('mistake', PLANTED_IN_IMAGES)
def test_a_mistake_in_the_images_is_found_and_no_other(mistake):
    changes, check, level, fix = PLANTED_IN_IMAGES[mistake]
    graph = {**GRAPH, 'arrivals': {**ARRIVALS, **changes}}
    facts = dataclasses.replace(HEALTHY, graph=graph)
    assert_found(facts, check, level, fix)
    assert [finding.check for finding in poor(examine(facts))] == [check]


def test_small_or_compressed_images_need_no_other_transport():
    small = {**ARRIVALS, 'num_bytes': 30_000, 'reliable_rate': None}
    graph = {**GRAPH, 'arrivals': small, 'publishers': [{**CAMERA, 'transports': ''}]}
    assert poor(examine(dataclasses.replace(HEALTHY, graph=graph))) == []
    graph = {**graph, 'arrivals': ARRIVALS, 'image_types': [COMPRESSED]}
    facts = dataclasses.replace(HEALTHY, graph=graph, environ={}, image_transport='compressed')
    assert poor(examine(facts)) == []


def test_a_camera_slower_than_the_listening_is_not_called_silent():
    arrivals = {**ARRIVALS, 'count': 0, 'rate': 0.0, 'reliable_rate': None, 'listened_s': 4.0}
    (finding,) = poor(examine(dataclasses.replace(HEALTHY, graph={**GRAPH, 'arrivals': arrivals})))
    assert 'less than 0.25 images/s arrive, 2 are wanted' in finding.message


def test_every_incompatible_pair_is_named_with_what_fits_its_reason():
    pairs = [
        {**PAIR, 'subscriber': '/rviz', 'reason': UNRELIABLE},
        {**PAIR, 'subscriber': '/vlo', 'reason': f'{UNRELIABLE}{FORGETFUL}'},
        {**PAIR, 'subscriber': '/rec', 'reason': 'ERROR: Subscription has a deadline, but ...;'},
    ]
    (finding,) = poor(
        examine(dataclasses.replace(HEALTHY, graph={**GRAPH, 'incompatible': pairs}))
    )
    assert finding.level is Level.ERROR
    for pair in pairs:
        assert f'{pair["subscriber"]} gets nothing from /camera: ' in finding.message
    rviz, vlo, rec = finding.fix.split('; ')
    assert rviz.startswith('/rviz: ') and 'best_effort' in rviz and 'volatile' not in rviz
    assert vlo.startswith('/vlo: ') and 'best_effort' in vlo and 'volatile' in vlo
    assert rec == '/rec: ask for no deadline, or a longer one'


def test_large_begins_where_fast_dds_begins_to_lose():
    publishers = [{**CAMERA, 'transports': ''}]
    for num_bytes, checks in ((LARGE_BYTES - 1, []), (LARGE_BYTES, ['transport there'])):
        arrivals = {**ARRIVALS, 'num_bytes': num_bytes}
        graph = {**GRAPH, 'arrivals': arrivals, 'publishers': publishers}
        found = poor(examine(dataclasses.replace(HEALTHY, graph=graph)))
        assert [finding.check for finding in found] == checks
    (here,) = poor(examine(dataclasses.replace(HEALTHY, environ={})))
    assert f'{LARGE_BYTES / 1e6:g} MB' in here.message


def test_litter_that_cannot_be_told_is_no_mistake():
    facts = dataclasses.replace(HEALTHY, shared_memory_litter=None)
    assert poor(examine(facts)) == []
    (finding,) = [f for f in examine(facts) if f.check == 'shared memory']
    assert 'cannot be told' in finding.message


def test_another_domain_on_this_machine_is_named():
    facts = dataclasses.replace(
        HEALTHY, graph={**GRAPH, 'publishers': []}, other_domains=frozenset({'7', '42'})
    )
    (finding,) = poor(examine(facts))
    assert 'here 7; other programs here are in domain 42' in finding.fix


def test_without_a_graph_the_rest_is_still_checked():
    facts = dataclasses.replace(HEALTHY, graph=None, graph_error='it crashed')
    findings = examine(facts)
    assert poor(findings) == []
    assert [f.message for f in findings if f.check == 'node'] == ['it crashed']


def test_a_finding_is_one_line_of_plain_data():
    for finding in examine(HEALTHY):
        data = describe(finding)
        assert set(data) == {'check', 'level', 'message', 'fix'}
        assert '\n' not in json.dumps(data)


def test_the_table_says_what_to_do(capsys):
    from rich.console import Console

    facts = dataclasses.replace(HEALTHY, disk_free_bytes=0)
    print_table(examine(facts), Console(width=200))
    printed = capsys.readouterr().out
    assert '-> make room, or point HF_HOME to another disk' in printed
    assert '1 error, 0 warnings' in printed


def test_the_command_without_ros_says_so_and_fails(tmp_path):
    hide = tmp_path / 'sitecustomize.py'
    hide.write_text(
        'import importlib.util as u\n'
        'real = u.find_spec\n'
        "u.find_spec = lambda name, package=None: (None if name.split('.')[0] == 'rclpy' "
        'else real(name, package))\n'
    )
    done = subprocess.run(
        [sys.executable, '-m', 'vlo_ros', 'doctor', '--json', '--model', 'nowhere.yaml'],
        env={'PATH': '/usr/bin:/bin', 'PYTHONPATH': f'{tmp_path}:{ROOT}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    levels = {finding['check']: finding['level'] for finding in json.loads(done.stdout)}
    assert (levels['ROS 2'], levels['model'], levels['node']) == ('error', 'error', 'skipped')
