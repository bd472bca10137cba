# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mistakes planted on a live graph are seen from another process, as `vlo doctor` looks."""

import dataclasses
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String

from tests.ros.graph import S
from tests.test_doctor import HEALTHY, poor
from vlo_ros.doctor.finding import Level
from vlo_ros.doctor.graph import GRAPH_CHECKS, check_rate
from vlo_ros.doctor.looking import probe_graph
from vlo_ros.fast_dds import LARGE_BYTES
from vlo_ros.ros.convert import image_message_of
from vlo_ros.ros.graph_probe import Arrivals, Probe, transports_of

SMALL = np.zeros((48, 64, 3), np.uint8)


def look(graph, publish=None, topic='image'):
    """Look at the graph while `publish()` is called 20 times a second; return the facts."""
    timer = graph.watcher.create_timer(0.05, publish) if publish else None
    found = []
    image, node = f'{graph.namespace}/{topic}', f'{graph.namespace}/vlo'
    thread = threading.Thread(target=lambda: found.append(probe_graph(image, node, 0.6)))
    thread.start()
    graph.wait_for(lambda: not thread.is_alive(), 90)
    thread.join()
    if timer:
        graph.watcher.destroy_timer(timer)
    facts, why = found[0]
    assert facts is not None, why
    return facts


def findings(graph, facts):
    judged = dataclasses.replace(HEALTHY, graph=facts, node=f'{graph.namespace}/vlo')
    return {finding.check: finding for finding in poor([check(judged) for check in GRAPH_CHECKS])}


def camera(graph, stamp=None, encoding='rgb8', image=SMALL, **qos):
    publisher = graph.watcher.create_publisher(
        Image,
        'image',
        QoSProfile(depth=5, **qos),
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
    )

    def publish():
        now = graph.watcher.get_clock().now().nanoseconds
        message = image_message_of(image, now if stamp is None else stamp(now), 'eye')
        message.encoding = encoding
        publisher.publish(message)

    return publish


def test_a_healthy_graph_with_an_active_node(graph):
    graph.active_vlo()
    facts = look(graph, camera(graph))
    assert findings(graph, facts) == {}
    assert facts['arrivals']['encoding'] == 'rgb8'
    assert facts['arrivals']['rate'] > 0
    transports = os.environ['FASTDDS_BUILTIN_TRANSPORTS']
    assert {publisher['transports'] for publisher in facts['publishers']} == {transports}


def test_nobody_publishes_and_the_node_is_unconfigured(graph):
    graph.vlo()
    found = findings(graph, look(graph))
    assert 'remap' in found['camera topic'].fix
    assert 'configure' in found['node'].fix


@pytest.mark.parametrize(
    ('stamp', 'words'),
    [(lambda now: 0, 'header.stamp'), (lambda now: 10**18 - now % S, 'in order')],
    ids=['zero', 'backwards'],
)
def test_bad_stamps(graph, stamp, words):
    found = findings(graph, look(graph, camera(graph, stamp)))
    assert words in found['camera stamps'].fix


def test_an_encoding_that_is_not_read(graph):
    found = findings(graph, look(graph, camera(graph, encoding='32FC3')))
    assert '32FC3' in found['camera encoding'].message


def test_a_topic_without_images(graph):
    graph.watcher.create_publisher(String, 'image', 10)
    assert 'std_msgs/msg/String' in findings(graph, look(graph))['camera type'].message


def test_a_node_that_insists_on_reliable_images_from_a_best_effort_camera(graph):
    reliable = {f'qos_overrides.{graph.namespace}/image.subscription.reliability': 'reliable'}
    graph.active_vlo(**{name.replace('.', '__'): value for name, value in reliable.items()})
    publish = camera(graph, reliability=ReliabilityPolicy.BEST_EFFORT)
    found = findings(graph, look(graph, publish))
    assert 'qos_overrides' in found['camera QoS'].fix


def test_another_program_that_insists_on_reliable_images_is_no_error_of_the_node(graph):
    graph.active_vlo()
    publish = camera(graph, reliability=ReliabilityPolicy.BEST_EFFORT)
    graph.watcher.create_subscription(
        Image,
        'image',
        lambda message: None,
        QoSProfile(depth=5),
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
    )
    found = findings(graph, look(graph, publish))
    assert set(found) == {'camera QoS'}
    assert found['camera QoS'].level is Level.WARNING
    watcher = graph.watcher.get_fully_qualified_name()
    assert f'{watcher} gets nothing from {watcher}: ' in found['camera QoS'].message


def test_one_image_and_then_none_is_a_slow_camera_and_not_a_silent_one():
    arrivals = Arrivals(Image, lambda: S)
    silent = {**arrivals.facts(), 'reliable_rate': None}
    arrivals.on_image(serialize_message(image_message_of(SMALL, S, 'eye')))
    arrivals.begin()
    slow = {**arrivals.facts(), 'reliable_rate': None}
    assert (silent['encoding'], slow['encoding']) == (None, 'rgb8')
    levels = []
    for facts in (silent, slow):
        judged = dataclasses.replace(HEALTHY, graph={**HEALTHY.graph, 'arrivals': facts})
        levels.append(check_rate(judged).level)
    assert levels == [Level.ERROR, Level.WARNING]


def test_an_image_is_as_old_as_it_was_on_arrival():
    now_ns = [10 * S + S // 50]
    arrivals = Arrivals(Image, lambda: now_ns[0])
    arrivals.on_image(serialize_message(image_message_of(SMALL, 10 * S, 'eye')))
    now_ns[0] += 5 * S  # listening goes on
    assert arrivals.facts()['age_s'] == 0.02


@pytest.mark.parametrize(
    ('num_bytes', 'reliable_rate'), [(LARGE_BYTES - 1, None), (LARGE_BYTES, 7.0)]
)
def test_large_images_are_listened_to_reliably_as_well(num_bytes, reliable_rate):
    class Listener(Probe):
        def __init__(self):
            pass

        def _count(self, topic, kind, qos):
            return {'count': 3, 'num_bytes': num_bytes, 'rate': 7.0}

        def _publishers(self, topic):
            return [{'reliable': True}]

    facts = Listener()._listen('/image', ['sensor_msgs/msg/Image'])
    assert facts['reliable_rate'] == reliable_rate


def test_a_camera_on_the_default_transport_is_told_from_its_process(graph):
    """A camera in a process of its own, with images of 0.9 MB and no transport chosen."""
    environ = {k: v for k, v in os.environ.items() if k != 'FASTDDS_BUILTIN_TRANSPORTS'}
    program = (
        'import sys, rclpy, numpy as np\n'
        'from sensor_msgs.msg import Image\n'
        'from vlo_ros.ros.convert import image_message_of\n'
        'rclpy.init()\n'
        "node = rclpy.create_node('far_camera', namespace=sys.argv[1])\n"
        "publisher = node.create_publisher(Image, 'image', 5)\n"
        'image = np.zeros((480, 640, 3), np.uint8)\n'
        'now = lambda: node.get_clock().now().nanoseconds\n'
        "send = lambda: publisher.publish(image_message_of(image, now(), 'eye'))\n"
        'node.create_timer(0.1, send)\n'
        'rclpy.spin(node)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', program, graph.namespace], env=environ)
    try:
        graph.wait_for(lambda: graph.watcher.count_publishers(f'{graph.namespace}/image'))
        found = findings(graph, look(graph))
    finally:
        process.kill()
        process.wait()
    assert 'FASTDDS_BUILTIN_TRANSPORTS' in found['transport there'].fix
    assert 'far_camera runs with the default' in found['transport there'].message


def test_an_identity_that_is_not_of_fast_dds_tells_nothing():
    assert transports_of([1, 16, 0, 0, os.getpid() & 255, os.getpid() >> 8 & 255, 0, 0]) is None
    assert transports_of([]) is None


def test_the_probe_prints_one_line_of_json():
    done = subprocess.run(
        [sys.executable, '-m', 'vlo_ros.ros.graph_probe', '--seconds', '0.1'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)['rmw'].startswith('rmw_')
