"""The program `bring_up`: one node to active, or one line that says why not."""

import os
import subprocess
import sys

from tests.ros.graph import TIMEOUT_S
from tests.ros.live_vlo import python_path


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
