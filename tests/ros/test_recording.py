# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes and a bag: what the node says on topics is what `vlo replay` says of the bag."""

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from tests.ros.graph import TINY_MODEL, S
from tests.ros.live_vlo import DOWN, UP
from tests.ros.processes import change_state, node_argv, process
from vlo_ros import msg
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.events import Query
from vlo_ros.message_header import to_ns
from vlo_ros.replay import replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

HZ, SECONDS = 30, 5
START_NS = 1_700_000_000 * S
QUESTION, ASKED_NS = 'What am I doing?', START_NS + 2 * S + S // 5


@pytest.fixture(scope='module')
def bag(scenes, tmp_path_factory):
    """640x480 rgb8 at 30 Hz; the scene changes twice a second."""
    path = tmp_path_factory.mktemp('bag') / 'kitchen'
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    kind = types['sensor_msgs/msg/Image']
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera/image_raw', kind.__msgtype__, typestore=store)
        for index in range(HZ * SECONDS):
            scene = scenes[(index // (HZ // 2)) * 7 % len(scenes)]
            pixels = cv2.resize(scene, (640, 480), interpolation=cv2.INTER_NEAREST)
            stamp_ns = START_NS + index * S // HZ
            seconds, nanoseconds = divmod(stamp_ns, S)
            stamp = types['builtin_interfaces/msg/Time'](seconds, nanoseconds)
            header = types['std_msgs/msg/Header'](stamp, 'head')
            message = kind(
                header, 480, 640, 'rgb8', 0, 640 * 3, np.ascontiguousarray(pixels).reshape(-1)
            )
            writer.write(connection, stamp_ns, store.serialize_cdr(message, kind.__msgtype__))
    return path


@pytest.fixture(scope='module')
def replayed(bag):
    """Responses of `vlo replay` as (seconds, text)."""
    config = load_config(TINY_MODEL)
    frames = open_source(str(bag)).frames(Sampler(config.stream.frame_fps))
    events = replay(
        frames, [Query(ASKED_NS - START_NS, QUESTION)], load_model(config.model), config.stream
    )
    return [
        (event['time'], event['text'].strip()) for event in events if event['kind'] == 'response'
    ]


@pytest.mark.timeout(600)
def test_a_bag_at_any_rate_gives_the_texts_of_replay(graph, bag, replayed, tmp_path):
    assert len(replayed) >= 5
    graph.hear()
    topic = f'qos_overrides.{graph.namespace}/image.subscription'
    vlo = node_argv(
        'vlo_node',
        graph.namespace,
        model=str(TINY_MODEL),
        stale_after=300.0,  # the query waits for its frame
        **{f'{topic}.reliability': 'reliable', f'{topic}.depth': HZ * SECONDS},
    )
    with process(vlo, tmp_path / 'vlo.log') as vlo_process:
        for rate in (1.0, 2.0):
            for transition_id in UP:
                assert change_state(graph, 'vlo', transition_id)
            for name in ('response', 'decision', 'status'):
                graph.heard(name).clear()
            asking = graph.publisher('vlo/query', msg.Query)
            graph.wait_for(asking.get_subscription_count)
            graph.ask(QUESTION, 'mine', ASKED_NS)
            graph.wait_for(lambda: any(s.backlog_queries for s in graph.heard('status')))
            camera = node_argv(
                'camera',
                graph.namespace,
                source=str(bag),
                rate=rate,
                wait_for_subscribers=1,
                # Nothing may be lost, however busy the machine.
                **{f'qos_overrides.{graph.namespace}/image.publisher.depth': HZ * SECONDS},
            )
            with process(camera, tmp_path / f'camera_{rate}.log') as camera_process:
                graph.wait_for(lambda: len(graph.heard('decision')) == 2 * SECONDS)
                graph.wait_for(lambda: len(graph.heard('response')) == len(replayed))
                graph.wait_for(lambda process=camera_process: process.poll() is not None)
            assert camera_process.returncode == 0
            published = {START_NS + index * S // HZ for index in range(HZ * SECONDS)}
            responses = graph.heard('response')
            assert {to_ns(response.header.stamp) for response in responses} <= published
            assert [response.text for response in responses] == [text for _, text in replayed]
            (answer,) = [response for response in responses if response.query_id]
            assert answer.query_id == 'mine'
            assert {response.header.frame_id for response in responses} == {'camera'}
            for transition_id in DOWN:
                assert change_state(graph, 'vlo', transition_id)
            graph.wait_for(lambda asking=asking: not asking.get_subscription_count())
    assert vlo_process.returncode == 0
    assert 'Traceback' not in (tmp_path / 'vlo.log').read_text()
