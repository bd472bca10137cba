# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node: a recording as a camera would publish it."""

import cv2
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from tests.ros.graph import TINY_MODEL, S
from vlo_ros.errors import VloError
from vlo_ros.message_header import to_ns
from vlo_ros.ros.camera import CameraNode
from vlo_ros.ros.convert import to_rgb

FRAMES = TINY_MODEL.parent / 'frames.npz'


@pytest.fixture
def camera(graph):
    """Start a camera node with parameters."""
    nodes = []

    def build(**parameters):
        from rclpy.parameter import Parameter

        node = CameraNode(
            context=graph.context,
            namespace=graph.namespace,
            parameter_overrides=[
                Parameter(name, value=value)
                for name, value in {'wait_for_subscribers': 1, **parameters}.items()
            ],
        )
        nodes.append(node)
        graph.spin_too(node)
        return node

    yield build
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def folder(tmp_path, scenes):
    """Six images."""
    for index in range(6):
        cv2.imwrite(str(tmp_path / f'{index}.png'), scenes[index * 20][:, :, ::-1])
    return tmp_path


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8'])
def test_publishes_every_frame_at_its_stamp(graph, camera, folder, scenes, encoding):
    images = graph.listen('image', Image)
    node = camera(source=str(folder), fps=10.0, rate=5.0, encoding=encoding, frame_id='eye')
    graph.wait_for(lambda: node.is_done and len(images) == 6)
    assert [to_ns(image.header.stamp) for image in images] == [n * S // 10 for n in range(6)]
    assert {image.header.frame_id for image in images} == {'eye'}
    for index, image in enumerate(images):
        assert image.encoding == encoding
        np.testing.assert_array_equal(to_rgb(image), scenes[index * 20])


def test_compressed(graph, camera, folder, scenes):
    images = graph.listen('image/compressed', CompressedImage)
    node = camera(source=str(folder), rate=5.0, image_transport='compressed', jpeg_quality=95)
    graph.wait_for(lambda: node.is_done and len(images) == 6)
    difference = np.abs(to_rgb(images[0]).astype(int) - scenes[0])
    assert difference.mean() < 10


def test_loops_with_stamps_of_the_moment_that_go_on(graph, camera, folder):
    images = graph.listen('image', Image)
    camera(source=str(folder), fps=20.0, loop=True, stamps='now')
    before_ns = graph.watcher.get_clock().now().nanoseconds
    graph.wait_for(lambda: len(images) >= 14)
    stamps = [to_ns(image.header.stamp) for image in images]
    assert stamps == sorted(stamps)
    assert abs(stamps[0] - before_ns) < 30 * S


def test_loops_with_recorded_stamps_that_go_back(graph, camera, folder):
    images = graph.listen('image', Image)
    camera(source=str(folder), fps=20.0, loop=True)
    graph.wait_for(lambda: len(images) >= 13)
    stamps = [to_ns(image.header.stamp) for image in images]
    assert stamps[:6] == stamps[6:12] == sorted(stamps[:6])


def test_tells_the_time_of_the_recording(graph, camera):
    clock = graph.listen('/clock', Clock)
    graph.listen('image', Image)
    camera(source='rendered:3', clock=True, rate=2.0)
    graph.wait_for(lambda: len(clock) > 20)
    times = [to_ns(tick.clock) for tick in clock]
    assert times == sorted(times)
    assert times[0] < 30 * S


@pytest.mark.parametrize(
    ('parameters', 'says'),
    [
        ({}, 'nothing is given to publish'),
        ({'source': '/nowhere.mcap'}, 'no such file or folder'),
        ({'source': 'rendered:x'}, 'expected rendered:SEED'),
        ({'source': str(FRAMES), 'rate': 0.0}, 'rate: 0.0 is outside'),
        ({'source': str(FRAMES), 'encoding': 'rgb9'}, "'rgb9' is not one of"),
    ],
)
def test_says_what_it_cannot_publish(camera, parameters, says):
    with pytest.raises(VloError, match=says):
        camera(**parameters)
