# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program `bring_up`: one node to active, or one line that says why not."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor

from tests.ros.graph import TIMEOUT_S
from tests.ros.live_vlo import python_path
from vlo_ros.ros import bring_up as program


def bring_up(graph, *arguments):
    """Run the program on the node `vlo` of the graph while that is spun."""
    name = f'{graph.namespace}/vlo'
    child = subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros.ros.bring_up', '--node', name, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': python_path()},
    )
    graph.wait_for(lambda: child.poll() is not None, 3 * TIMEOUT_S)
    with child.stderr:
        return child.returncode, [line for line in child.stderr if 'bring_up' in line]


def state_of(node):
    return node._state_machine.current_state[1]


def test_a_node_is_configured_and_activated_and_left_alone_when_it_is(graph):
    node = graph.vlo()
    assert bring_up(graph) == (0, [])
    assert state_of(node) == 'active'
    assert bring_up(graph) == (0, [])
    assert node.trigger_deactivate().name == 'SUCCESS'
    assert bring_up(graph) == (0, [])
    assert state_of(node) == 'active'


def test_a_node_that_cannot_be_configured_is_one_line(graph):
    node = graph.vlo(model='/nowhere/model.yaml')
    code, (line,) = bring_up(graph)
    assert code == 1
    assert f'{graph.namespace}/vlo: did not come up; its log says why' in line
    assert state_of(node) == 'unconfigured'


def test_a_node_that_is_not_there_is_one_line(graph):
    code, (line,) = bring_up(graph, '--timeout', '1')
    assert code == 1
    assert 'not on the graph after 1 s' in line


def test_it_is_a_node_of_its_own_and_serves_no_parameters(graph, bring_up_fast):
    node = bring_up_fast.node
    space = graph.namespace.strip('/')
    assert node.get_name() == f'bring_up_{space}_vlo_{os.getpid()}'
    served = node.get_service_names_and_types_by_node(node.get_name(), node.get_namespace())
    assert not [name for name, _ in served if 'parameter' in name]


class Lifecycle:
    """The two services that bring_up asks, answered as a test says."""

    def __init__(self, graph, state):
        self.state, self.num_looks = state, 0
        self.on_look = lambda: None
        self.on_change = lambda: True
        self.services = [
            graph.watcher.create_service(GetState, 'vlo/get_state', self._look),
            graph.watcher.create_service(ChangeState, 'vlo/change_state', self._change),
        ]

    def _look(self, request, response):
        self.num_looks += 1
        self.on_look()
        response.current_state.id = self.state
        return response

    def _change(self, request, response):
        response.success = self.on_change()
        return response


@pytest.fixture
def bring_up_fast(graph, monkeypatch):
    """Bring the node `vlo` up from a thread of the test, a look taking 0.1 s; its complaint."""
    monkeypatch.setattr(program, 'LOOK_S', 0.1)
    monkeypatch.setattr(program, 'GONE_AFTER_S', 0.5)
    executor = SingleThreadedExecutor(context=graph.context)
    node = program.BringUp(f'{graph.namespace}/vlo', executor)

    def run(meanwhile=lambda: None):
        with ThreadPoolExecutor(1) as pool:
            complaint = pool.submit(node.run, TIMEOUT_S)
            graph.wait_for(lambda: meanwhile() or complaint.done(), 2 * TIMEOUT_S)
            return complaint.result()

    run.node = node
    yield run
    executor.shutdown()
    node.destroy_node()


def test_a_node_that_answers_nobody_while_it_loads_is_waited_for(graph, bring_up_fast):
    lifecycle = Lifecycle(graph, State.PRIMARY_STATE_UNCONFIGURED)

    def load():
        time.sleep(15 * program.LOOK_S)  # holds up the only thread, as large weights do
        lifecycle.state += 1
        return True

    lifecycle.on_change = load
    assert bring_up_fast() == ''
    assert lifecycle.state == State.PRIMARY_STATE_ACTIVE


def test_what_somebody_else_has_it_do_is_looked_at_now_and_then(graph, bring_up_fast, monkeypatch):
    monkeypatch.setattr(program, 'PAUSE_S', 0.5)
    lifecycle = Lifecycle(graph, State.TRANSITION_STATE_DEACTIVATING)

    def activate_at_fifth_look():
        if lifecycle.num_looks == 5:
            lifecycle.state = State.PRIMARY_STATE_ACTIVE

    lifecycle.on_look = activate_at_fifth_look
    begun_at = time.monotonic()
    assert bring_up_fast() == ''
    assert time.monotonic() - begun_at > 2 * program.PAUSE_S


def test_a_transition_refused_since_somebody_else_asked_first_is_no_failure(graph, bring_up_fast):
    lifecycle = Lifecycle(graph, State.PRIMARY_STATE_INACTIVE)

    def refuse():
        lifecycle.state = State.PRIMARY_STATE_ACTIVE
        return False

    lifecycle.on_change = refuse
    assert bring_up_fast() == ''


def test_a_node_that_leaves_is_one_line(graph, bring_up_fast):
    lifecycle = Lifecycle(graph, State.TRANSITION_STATE_CONFIGURING)

    def leave():
        while lifecycle.num_looks and lifecycle.services:
            graph.watcher.destroy_service(lifecycle.services.pop())

    assert bring_up_fast(leave).endswith('vlo: has left the graph')
