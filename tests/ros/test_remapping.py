# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera's topic remapped, as everybody who has a camera does: `-r image:=/cam/x`."""

import pytest
import rclpy
from rclpy.parameter import Parameter

from tests.ros.graph import TINY_MODEL, S
from vlo_ros.message_header import to_ns
from vlo_ros.ros.convert import compressed_message_of, image_message_of
from vlo_ros.ros.image_topic import image_topic
from vlo_ros.ros.vlo_node import VloNode

PLAIN, COMPRESSED = 'image:=/cam/x', 'image/compressed:=/small'


def arguments(*rules):
    return ['--ros-args', *(word for rule in rules for word in ('-r', rule))]


@pytest.mark.parametrize(
    ('base', 'transport', 'rules', 'topic'),
    [
        ('image', 'raw', [], '/here/image'),
        ('image', 'raw', [PLAIN], '/cam/x'),
        ('image', 'raw', [COMPRESSED], '/here/image'),
        ('image', 'compressed', [], '/here/image/compressed'),
        ('image', 'compressed', [PLAIN], '/cam/x/compressed'),
        ('image', 'compressed', [COMPRESSED], '/small'),
        ('image', 'compressed', [PLAIN, COMPRESSED], '/small'),
        ('image', 'compressed', ['image:=x'], '/here/x/compressed'),
        ('left/image', 'compressed', ['left/image:=/cam/x'], '/cam/x/compressed'),
        ('left/image', 'compressed', [PLAIN], '/here/left/image/compressed'),
        ('left/image', 'raw', ['left/image:=/cam/x'], '/cam/x'),
    ],
)
def test_the_compressed_topic_follows_the_plain_one_unless_it_is_remapped_itself(
    graph, base, transport, rules, topic
):
    node = rclpy.create_node(
        'remapped', context=graph.context, namespace='/here', cli_args=arguments(*rules)
    )
    try:
        assert node.resolve_topic_name(image_topic(node, base, transport)) == topic
    finally:
        node.destroy_node()


@pytest.mark.parametrize(
    ('transport', 'sources', 'topic'),
    [
        ('raw', ['image'], 'cam/x'),
        ('compressed', [], 'image/compressed'),
        ('compressed', ['image'], 'cam/x/compressed'),
        ('compressed', ['image/compressed'], 'cam/x'),
    ],
)
def test_what_comes_in_on_the_remapped_topic_is_judged(graph, scenes, transport, sources, topic):
    rules = [f'{source}:={graph.namespace}/cam/x' for source in sources]
    settings = {'model': str(TINY_MODEL), 'image_transport': transport}
    node = graph.start(
        VloNode(
            context=graph.context,
            namespace=graph.namespace,
            cli_args=arguments(*rules),
            parameter_overrides=[Parameter(name, value=settings[name]) for name in settings],
        )
    )
    graph.hear()
    assert node.trigger_configure().name == 'SUCCESS'
    assert node.trigger_activate().name == 'SUCCESS'
    make = image_message_of if transport == 'raw' else compressed_message_of
    for index in range(2):
        message = make(scenes[index], (100 + index) * S, 'eye')
        graph.send_message(message, topic)
        graph.wait_for(lambda least=index: len(graph.heard('decision')) > least)
    stamps = [to_ns(decision.header.stamp) for decision in graph.heard('decision')]
    assert stamps == [100 * S, 101 * S]
    assert not graph.watcher.count_subscribers(f'{graph.namespace}/image')
    assert node.cameras[0].images.topic == f'{graph.namespace}/{topic}'
