# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/node.md and the README tell parameters, topics, services and actions as they are."""

import contextlib
import re
from pathlib import Path

import pytest
from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.lifecycle import LifecycleNode

from tests.ros.graph import Graph
from vlo_ros.ros.parameter_table import parameter_table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'node.md'


def interfaces(watcher, node):
    """{name: type} of a node's topics, services and actions, its own names as ~/name."""
    name, namespace = node.get_name(), node.get_namespace()
    found = [
        *watcher.get_publisher_names_and_types_by_node(name, namespace),
        *watcher.get_subscriber_names_and_types_by_node(name, namespace),
        *watcher.get_service_names_and_types_by_node(name, namespace),
        *get_action_server_names_and_types_by_node(watcher, name, namespace),
    ]
    own, relative = f'{namespace}/{name}/', f'{namespace}/'
    return {
        topic.replace(own, '~/').replace(relative, ''): types[0]
        for topic, types in found
        if '/_action/' not in topic
    }


def rows_of(page, heading):
    """(names, types) of each row of the table under a heading row."""
    text = (ROOT / page).read_text(encoding='utf-8')
    table = text[text.index(heading) :].split('\n\n')[0]
    for row in table.splitlines()[2:]:
        _, names, types, *_ = row.split('|')
        yield re.findall(r'`([^`]+)`', names), [kind.strip() for kind in types.split(',')]


def told():
    """{name: types} of the page's table."""
    rows = rows_of(PAGE, '| topic, service, action | type | |')
    return {name: types for names, types in rows for name in names}


@pytest.fixture(scope='module')
def graph():
    with contextlib.closing(Graph()) as graph:
        yield graph


@pytest.fixture(scope='module')
def node(graph):
    return graph.active_vlo()


@pytest.fixture(scope='module')
def is_there(graph, node):
    """What the node has beyond what every lifecycle node has."""
    plain = LifecycleNode('plain', namespace=graph.namespace, context=graph.context)
    graph.start(plain)

    def own():
        common = interfaces(graph.watcher, plain).items()
        return dict(interfaces(graph.watcher, node).items() - common)

    # Discovery takes its time. Where the page is stale this waits in vain; the tests say why.
    with contextlib.suppress(AssertionError):
        graph.wait_for(lambda: told().keys() - own().keys() == {'image/compressed'}, 20)
    return own()


def test_the_parameters_are_not_stale():
    told = PAGE.read_text(encoding='utf-8')
    assert parameter_table() in told, 'python -m vlo_ros.ros.parameter_table prints the new table'


def test_topics_services_and_actions_are_not_stale(is_there):
    page = told()
    images = page.pop('image/compressed')
    assert images == page['image'] == ['sensor_msgs/Image', 'CompressedImage']
    assert {name: types[0] for name, types in page.items()} == {
        name: kind if kind.startswith('vlo_ros/') else re.sub('/(msg|srv)/', '/', kind)
        for name, kind in is_there.items()
    }


def test_the_qos_of_each_topic_on_the_page_is_a_parameter(node, is_there):
    topics = {name for name in told() if '/msg/' in is_there.get(name, '')}
    assert {'image', '~/query', '~/response/partial', '~/status', '/diagnostics'} <= topics
    for name in topics:
        topic = node.resolve_topic_name(name)
        kinds = [
            kind
            for kind in ('publisher', 'subscription')
            if node.has_parameter(f'qos_overrides.{topic}.{kind}.depth')
        ]
        assert len(kinds) == 1, f'{name}: no QoS can be given'


def test_the_readme_names_only_what_is_there(is_there):
    for names, _ in rows_of('README.md', '| topic, service, action | type | |'):
        for name in names:
            own = name.replace('/vlo/', '~/')
            assert own in is_there or own == 'image/compressed', f'{name} is not there'
