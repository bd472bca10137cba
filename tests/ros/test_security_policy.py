# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""security/vlo.policy.xml names what the running programs have on the graph, no more, no less."""

import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rich.console import Console

from vlo_ros.ros.person.chat import Chat
from vlo_ros.ros.person.listener import ListenerNode
from vlo_ros.ros.person.speaker import SpeakerNode
from vlo_ros.ros.transcript import Transcript

POLICY = Path(__file__).parents[2] / 'security' / 'vlo.policy.xml'
KINDS = {
    'publish': 'topic',
    'subscribe': 'topic',
    'reply': 'service',
    'request': 'service',
    'execute': 'action',
    'call': 'action',
}


def allowed(enclave, node, namespace=''):
    """What a profile allows: {kind: names}, names expanded as sros2 expands them."""
    (profile,) = ElementTree.parse(POLICY).findall(
        f'enclaves/enclave[@path="{enclave}"]/profiles/profile[@node="{node}"]'
    )
    names = {}
    for kind, tag in KINDS.items():
        for group in profile.findall(f'{tag}s[@{kind}="ALLOW"]'):
            names.setdefault(kind, set()).update(
                expanded(element.text, node, namespace) for element in group.findall(tag)
            )
    return names


def expanded(name, node, namespace):
    if name.startswith('~/'):
        return f'{namespace}/{node}/{name[2:]}'
    if name.startswith('/vlo'):  # another program's name of the node under test
        return f'{namespace}{name}'
    return name if name.startswith('/') else f'{namespace}/{name}'


def present(watcher, node):
    """What a node has on the live graph, in the same form."""
    name, namespace = node.get_name(), node.get_namespace()
    found = {
        'publish': watcher.get_publisher_names_and_types_by_node(name, namespace),
        'subscribe': watcher.get_subscriber_names_and_types_by_node(name, namespace),
        'reply': watcher.get_service_names_and_types_by_node(name, namespace),
        'request': watcher.get_client_names_and_types_by_node(name, namespace),
        'execute': get_action_server_names_and_types_by_node(watcher, name, namespace),
        'call': get_action_client_names_and_types_by_node(watcher, name, namespace),
    }
    # An action's own topics and services are part of the permission for the action.
    return {
        kind: names
        for kind, pairs in found.items()
        if (names := {name for name, _ in pairs if '/_action/' not in name})
    }


def differences(is_there, is_allowed):
    """Lines on what is used and not allowed, or allowed and not used."""
    lines = []
    for kind in KINDS:
        names, patterns = is_there.get(kind, set()), is_allowed.get(kind, set())
        for name in names:
            if not any(fnmatchcase(name, pattern) for pattern in patterns):
                lines.append(f'{kind} {name} is used and not allowed')
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                lines.append(f'{kind} {pattern} is allowed and not used')
    return sorted(lines)


def check(graph, node, enclave, profile):
    """Wait until the graph shows no difference; fail with those that stay."""
    policy = allowed(enclave, profile, graph.namespace)

    def same():
        return not differences(present(graph.watcher, node), policy)

    try:
        graph.wait_for(same, 20)
    except AssertionError:
        pytest.fail('\n'.join(differences(present(graph.watcher, node), policy)))


def test_the_node_has_what_its_policy_allows_and_nothing_else(graph):
    check(graph, graph.active_vlo(), '/vlo', 'vlo')


def test_chat_has_what_its_policy_allows_and_nothing_else(graph):
    node = Node(
        f'vlo_chat_{os.getpid()}',
        namespace=graph.namespace,
        context=graph.context,
        start_parameter_services=False,
    )
    Chat(node, f'{graph.namespace}/vlo', Transcript(Console()))
    check(graph, graph.start(node), '/vlo_person', 'vlo_chat')


def test_the_page_has_what_its_policy_allows_and_nothing_else(graph):
    bridge_module = pytest.importorskip('vlo_ros.ros.person.web.bridge')
    graph.active_vlo()  # whose camera the page looks at
    bridge = bridge_module.Bridge(
        f'{graph.namespace}/vlo',
        '',
        '',
        lambda event: None,
        context=graph.context,
        namespace=graph.namespace,
    )
    graph.publisher('image', bridge_module.Image)
    check(graph, graph.start(bridge), '/vlo_person', 'vlo_web')


def test_the_speaker_has_what_its_policy_allows_and_nothing_else(graph, tmp_path):
    values = {
        'node': f'{graph.namespace}/vlo',
        'output_folder': str(tmp_path),
        'engine': 'command',
        'command': 'cp /dev/null {wav}',
    }
    speaker = SpeakerNode(
        namespace=graph.namespace,
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    check(graph, graph.start(speaker), '/vlo_person', 'speaker')


def test_the_listener_has_what_its_policy_allows_and_nothing_else(graph):
    pytest.importorskip('pocketsphinx', reason='pocketsphinx is not installed')
    values = {
        'node': f'{graph.namespace}/vlo',
        'speaker': f'{graph.namespace}/speaker',
        'recorder': 'sleep infinity',
        'command': 'cat {wav}',
    }
    listener = ListenerNode(
        namespace=graph.namespace,
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    check(graph, graph.start(listener), '/vlo_person', 'listener')


def test_a_topic_that_the_policy_does_not_know_is_found():
    is_allowed = {'publish': {'/vlo/response'}, 'reply': {'/vlo_chat_*/get_type_description'}}
    is_there = {'publish': {'/vlo/response', '/vlo/secret'}}
    assert differences(is_there, is_allowed) == [
        'publish /vlo/secret is used and not allowed',
        'reply /vlo_chat_*/get_type_description is allowed and not used',
    ]


def test_the_operator_may_use_only_what_the_node_has():
    node, operator = allowed('/vlo', 'vlo'), allowed('/vlo_operator', 'operator')
    assert operator['request'] <= node['reply']
    assert operator['subscribe'] <= node['publish']
    assert not {'execute', 'call'} & operator.keys()


def test_between_the_enclaves_stands_nothing_that_sros2_would_take_for_one():
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.parse(POLICY, parser).getroot()
    assert [type(element.tag) for element in root.iter()] == [str] * len(list(root.iter()))


@pytest.mark.timeout(600)
def test_with_security_enforced_and_bad_keys_the_node_does_not_start(tmp_path):
    """It fails closed, whether the DDS has the security libraries or not."""
    enclave = tmp_path / 'enclaves' / 'vlo'
    enclave.mkdir(parents=True)
    for name in (
        'identity_ca.cert.pem',
        'cert.pem',
        'key.pem',
        'permissions_ca.cert.pem',
        'governance.p7s',
        'permissions.p7s',
    ):
        (enclave / name).write_text('no key')
    done = subprocess.run(
        [sys.executable, '-m', 'vlo_ros.ros.vlo_node', '--ros-args', '--enclave', '/vlo'],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            'ROS_SECURITY_ENABLE': 'true',
            'ROS_SECURITY_STRATEGY': 'Enforce',
            'ROS_SECURITY_KEYSTORE': str(tmp_path),
        },
    )
    assert done.returncode != 0
    assert 'security' in (done.stdout + done.stderr).lower()
