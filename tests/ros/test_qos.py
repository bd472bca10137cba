# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QoS given as parameters holds for the topic it names; who does not fit is named."""

import contextlib

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image

from tests.ros.graph import S, errors_of
from vlo_ros.ros import image_input, publishers
from vlo_ros.ros.convert import image_message_of

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def reliability_of_subscription(graph, topic):
    """Of the only subscription, as others on the graph see it."""
    found = graph.watcher.get_subscriptions_info_by_topic
    graph.wait_for(lambda: found(f'{graph.namespace}/{topic}'))
    (info,) = found(f'{graph.namespace}/{topic}')
    return info.qos_profile.reliability


def test_an_override_of_one_camera_leaves_the_other_and_the_next_node_alone(graph):
    name = f'qos_overrides.{graph.namespace}/{{}}/image.subscription.{{}}'
    node = graph.vlo(
        cameras=['left', 'right'],
        **{name.format('left', 'reliability'): 'reliable', name.format('left', 'depth'): 30},
    )
    assert node.trigger_configure() == SUCCESS
    told = {
        (camera, policy): node.get_parameter(name.format(camera, policy)).value
        for camera in ('left', 'right')
        for policy in ('reliability', 'depth', 'history')
    }
    assert told == {
        ('left', 'reliability'): 'reliable',
        ('left', 'depth'): 30,
        ('left', 'history'): 'keep_last',
        ('right', 'reliability'): 'best_effort',
        ('right', 'depth'): 5,
        ('right', 'history'): 'keep_last',
    }
    assert reliability_of_subscription(graph, 'left/image') == RELIABLE
    assert reliability_of_subscription(graph, 'right/image') == BEST_EFFORT
    assert node.trigger_cleanup() == SUCCESS
    assert qos_profile_sensor_data.reliability == BEST_EFFORT
    assert qos_profile_sensor_data.depth == 5


def test_an_override_of_sentences_leaves_growing_ones_alone(graph):
    name = f'qos_overrides.{graph.namespace}/vlo/{{}}.publisher.depth'
    node = graph.vlo(**{name.format('response'): 3})
    assert node.trigger_configure() == SUCCESS
    assert node.get_parameter(name.format('response')).value == 3
    assert node.get_parameter(name.format('response/partial')).value == 1000
    assert publishers.SENTENCES.depth == 1000


@pytest.mark.parametrize(
    ('topic', 'policy', 'value'),
    [('NODE/status', 'reliability', 'perhaps'), ('/diagnostics', 'depth', 'deep')],
)
def test_a_bad_override_of_health_itself_is_told_in_diagnostics(
    graph, capfd, topic, policy, value
):
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    topic = topic.replace('NODE', f'{graph.namespace}/vlo')
    name = f'qos_overrides.{topic}.publisher'
    node = graph.vlo(**{f'{name}.{policy}': value})
    assert node.trigger_configure() == FAILURE
    (line,) = errors_of(capfd.readouterr())
    assert f'configure failed: {name}: ' in line
    wanted = (f'{graph.namespace}/vlo: node', DiagnosticStatus.ERROR, node.failure)

    def num_told():
        heard = [status for array in arrays for status in array.status]
        return sum((told.name, told.level, told.message) == wanted for told in heard)

    graph.wait_for(lambda: num_told() >= 2)  # it goes on telling
    assert errors_of(capfd.readouterr()) == []


@pytest.fixture
def camera(graph):
    """Make a node of a name with a publisher of images; return both."""
    with contextlib.ExitStack() as made:

        def make(name, reliability):
            node = rclpy.create_node(name, context=graph.context, namespace=graph.namespace)
            made.callback(node.destroy_node)
            qos = QoSProfile(depth=10, reliability=reliability)
            return node.create_publisher(Image, 'image', qos)

        yield make


def test_each_publisher_that_does_not_fit_is_named_once_and_no_other(graph, scenes, capfd, camera):
    name = f'qos_overrides.{graph.namespace}/image.subscription.reliability'
    node = graph.active_vlo(**{name: 'reliable'})
    capfd.readouterr()
    lines = []

    def is_named(publisher):
        lines.extend(errors_of(capfd.readouterr()))
        return any(f'no images from {graph.namespace}/{publisher}:' in line for line in lines)

    good = camera('good', RELIABLE)
    for publisher in ('first_bad', 'second_bad'):
        camera(publisher, BEST_EFFORT)
        graph.wait_for(lambda publisher=publisher: is_named(publisher))
    assert not is_named('good')
    assert len(lines) == 2
    assert all('offers another reliability' in line and f'set {name}' in line for line in lines)
    graph.wait_for(good.get_subscription_count)
    good.publish(image_message_of(scenes[0], 100 * S, 'eye'))
    graph.wait_for(lambda: node.cameras[0].statistics.frames_received == 1)


@pytest.mark.parametrize('becomes_known', [True, False])
def test_a_publisher_whose_name_comes_late_is_waited_for(
    graph, capfd, camera, monkeypatch, becomes_known
):
    looks = []
    find = image_input.incompatible_pairs

    def find_nameless(node, topic):
        looks.append(topic)
        pairs = find(node, topic)
        if len(looks) < 3 or not becomes_known:
            for there, _, _ in pairs:
                there.node_name = image_input.UNKNOWN_NAME
        return pairs

    monkeypatch.setattr(image_input, 'incompatible_pairs', find_nameless)
    name = f'qos_overrides.{graph.namespace}/image.subscription.reliability'
    node = graph.active_vlo(**{name: 'reliable'})
    capfd.readouterr()
    camera('late', BEST_EFFORT)
    line = graph.wait_for(lambda: 'no images from' in node.cameras[0].notices.last and 'said')
    (line,) = errors_of(capfd.readouterr())
    who = f'{graph.namespace}/late' if becomes_known else 'a publisher'
    assert f'no images from {who}: ' in line
    assert len(looks) == (3 if becomes_known else image_input.LOOKS_FOR_NAMES)
