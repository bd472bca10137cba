# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera the page shows."""

import contextlib

import cv2
import numpy as np
import pytest

pytest.importorskip('aiohttp', reason="aiohttp is not installed (pip install '.[person]')")

from sensor_msgs.msg import CompressedImage, Image

from vlo_ros.ros.convert import compressed_message_of
from vlo_ros.ros.image_topic import watched_images
from vlo_ros.ros.person.web.bridge import Bridge


@contextlib.contextmanager
def bridge_of(graph, node_name, camera, image=''):
    """A page's side of the graph, and what it tells the page."""
    events = []
    bridge = Bridge(node_name, camera, image, events.append, context=graph.context)
    graph.spin_too(bridge)
    try:
        yield bridge, events
    finally:
        bridge.executor.remove_node(bridge)
        bridge.destroy_node()


def watch(graph, *topics):
    """Have the watcher subscribe to images, as a node of that name does."""
    for topic in topics:
        graph.watcher.create_subscription(Image, topic, print, 5)
    return f'{graph.namespace}/watcher'


@pytest.mark.parametrize('camera', ['left', 'left_rear', 'rear', 'ear'])
@pytest.mark.parametrize('ending', ['image', 'image/compressed'])
def test_a_camera_is_told_from_one_whose_name_holds_its_own(graph, camera, ending):
    cameras = ('left_rear', 'rear', 'left', 'ear')
    node = watch(graph, *(f'{name}/{ending}' for name in cameras))
    with bridge_of(graph, node, camera) as (bridge, _):
        graph.wait_for(lambda: bridge.image_topic)
        assert bridge.image_topic == f'{graph.namespace}/{camera}/{ending}'


def test_the_name_of_the_namespace_is_not_that_of_the_camera(graph):
    camera = graph.namespace.strip('/')
    node = watch(graph, 'another/image', f'{camera}/image')
    with bridge_of(graph, node, camera) as (bridge, _):
        graph.wait_for(lambda: bridge.image_topic)
        assert bridge.image_topic == f'{graph.namespace}/{camera}/image'


def test_a_camera_that_no_topic_is_named_after_is_said_with_the_choice(graph):
    node = watch(graph, 'front/image_raw')
    with bridge_of(graph, node, 'left') as (bridge, events):
        event = graph.wait_for(lambda: [e for e in events if e['kind'] == 'camera'])[0]
    assert bridge.image_topic == ''
    assert f'{graph.namespace}/front/image_raw' in event['text']
    assert '--image TOPIC' in event['text']


def test_a_compressed_topic_can_be_named_and_is_shown(graph, scenes):
    topic = 'front/image_raw/compressed'
    image = compressed_message_of(scenes[0], 1, 'eye')
    publisher = graph.watcher.create_publisher(CompressedImage, topic, 5)
    node = watch(graph, 'front/image_raw')
    with bridge_of(graph, node, '', f'{graph.namespace}/{topic}') as (bridge, events):
        graph.wait_for(lambda: publisher.publish(image) or bridge.num_images)
        picture = cv2.imdecode(np.frombuffer(bridge.picture(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (480, 480, 3)
    assert [event for event in events if event['kind'] == 'note'] == []


def test_the_cameras_of_a_real_node_are_found(graph):
    graph.active_vlo(cameras=['left_rear', 'rear'])
    node = f'{graph.namespace}/vlo'
    graph.wait_for(lambda: len(watched_images(graph.watcher, node)) == 2)
    for camera in ('rear', 'left_rear'):
        with bridge_of(graph, node, camera) as (bridge, _):
            graph.wait_for(lambda bridge=bridge: bridge.image_topic)
            assert bridge.image_topic == f'{graph.namespace}/{camera}/image'
