# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two nodes and two cameras at once on one machine: nobody hears what is another's."""

import contextlib
import dataclasses

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import Trigger

from tests.ros.graph import TINY_MODEL, S
from tests.ros.processes import change_state, node_argv, process
from vlo_ros import msg
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.message_header import to_ns
from vlo_ros.replay import replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

HZ, NUM_FRAMES = 4.0, 24
ROBOTS = {'alpha': slice(0, 24), 'beta': slice(100, 124)}


@pytest.fixture(scope='module')
def films(scenes, tmp_path_factory):
    """A film for each robot, as the camera reads it."""
    folder = tmp_path_factory.mktemp('films')
    for name, part in ROBOTS.items():
        frames = np.ascontiguousarray(scenes[part].transpose(0, 3, 1, 2))
        np.savez(folder / f'{name}.npz', frames=frames)
    return {name: folder / f'{name}.npz' for name in ROBOTS}


@pytest.fixture(scope='module')
def alone(films):
    """What `vlo replay` says of each film: stamps in ns and texts."""
    config = load_config(TINY_MODEL)
    stream, model = dataclasses.replace(config.stream, frame_fps=HZ), load_model(config.model)
    said = {}
    for name, film in films.items():
        events = replay(open_source(str(film)).frames(Sampler(HZ)), [], model, stream)
        said[name] = [
            (round(event['time'] * S), event['text'].strip())
            for event in events
            if event['kind'] == 'response'
        ]
    return said


def diagnoses_of(arrays):
    """Values of the newest diagnosis of each name."""
    statuses = [status for array in arrays for status in array.status]
    return {status.name: {pair.key: pair.value for pair in status.values} for status in statuses}


@pytest.mark.timeout(900)
def test_two_nodes_in_two_namespaces_share_nothing(graph, films, alone, tmp_path):
    assert all(len(said) >= 3 for said in alone.values())
    assert alone['alpha'] != alone['beta']
    heard = {
        (name, topic): graph.listen(f'{name}/vlo/{topic}', kind)
        for name in ROBOTS
        for topic, kind in (('response', msg.Response), ('decision', msg.Decision))
    }
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    logs = {name: tmp_path / f'{name}.log' for name in ROBOTS}
    with contextlib.ExitStack() as stack:
        for name in ROBOTS:
            namespace = f'{graph.namespace}/{name}'
            topic = f'qos_overrides.{namespace}/image.subscription'
            argv = node_argv(
                'vlo_node',
                namespace,
                model=str(TINY_MODEL),
                frame_fps=HZ,
                **{f'{topic}.reliability': 'reliable', f'{topic}.depth': 100},
            )
            stack.enter_context(process(argv, logs[name]))
        for transition in (1, 3):
            for name in ROBOTS:
                assert change_state(graph, f'{name}/vlo', transition)
        for name in ROBOTS:
            argv = node_argv(
                'camera',
                f'{graph.namespace}/{name}',
                source=str(films[name]),
                fps=HZ,
                frame_id=name,
                wait_for_subscribers=1,
            )
            stack.enter_context(process(argv, tmp_path / f'camera_{name}.log'))
        for name in ROBOTS:
            graph.wait_for(lambda name=name: len(heard[name, 'decision']) == NUM_FRAMES, 180)
            graph.wait_for(lambda name=name: len(heard[name, 'response']) == len(alone[name]))
        for name in ROBOTS:
            said = heard[name, 'response']
            assert [(to_ns(r.header.stamp), r.text) for r in said] == alone[name]
            assert {message.header.frame_id for message in said} == {name}

        query = graph.publisher('beta/vlo/query', msg.Query)
        query.publish(msg.Query(text='What am I doing?', query_id='mine'))
        graph.wait_for(lambda: [r for r in heard['beta', 'response'] if r.query_id == 'mine'])
        assert not [r for r in heard['alpha', 'response'] if r.query_id]
        reset = graph.watcher.create_client(Trigger, 'alpha/vlo/reset')
        graph.wait_for(reset.service_is_ready)
        done = reset.call_async(Trigger.Request())
        graph.wait_for(done.done)
        assert done.result().success

        names = [f'{graph.namespace}/{name}/vlo: image' for name in ROBOTS]
        graph.wait_for(
            lambda: (
                diagnoses_of(arrays).get(names[0], {}).get('resets') == '1'
                and diagnoses_of(arrays).get(names[1], {}).get('queries_received') == '1'
            )
        )
        alpha, beta = (diagnoses_of(arrays)[name] for name in names)
        assert (alpha['queries_received'], beta['resets']) == ('0', '0')
        assert alpha['frames_judged'] == beta['frames_judged'] == str(NUM_FRAMES)
    for log in logs.values():
        assert 'Traceback' not in log.read_text()


def test_diagnostics_tell_the_cameras_of_one_node_apart(graph, scenes):
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    graph.active_vlo(cameras=['left', 'right'])
    graph.show(scenes[:3], topic='left/image', camera='left', frame_id='l')
    graph.show(scenes[:1], topic='right/image', camera='right', frame_id='r')
    graph.ask('What do you see?', 'mine', camera='right', stamp_ns=99 * S)
    names = [f'{graph.namespace}/vlo: {camera}' for camera in ('left', 'right')]
    graph.wait_for(
        lambda: (
            diagnoses_of(arrays).get(names[1], {}).get('queries_received') == '1'
            and diagnoses_of(arrays)[names[0]]['frames_judged'] == '3'
        )
    )
    left, right = (diagnoses_of(arrays)[name] for name in names)
    assert (left['frames_judged'], left['queries_received']) == ('3', '0')
    assert right['frames_judged'] == '1'
