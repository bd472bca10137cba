# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in the hands of a lifecycle manager such as nav2's: services alone, no process of ours.

The calls and their order are those of nav2_lifecycle_manager: after each ~/change_state it asks
~/get_state and expects the state that the transition leads to; it brings down in the order
deactivate, cleanup, shutdown. The manager itself is not among the ROS wheels.
"""

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.parameter import Parameter

LEADS_TO = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}
STARTUP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
PAUSE, RESUME = (Transition.TRANSITION_DEACTIVATE,), (Transition.TRANSITION_ACTIVATE,)
RESET = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
SHUTDOWN = (*RESET, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)


class Manager:
    """Moves one node through its states as nav2's does."""

    def __init__(self, graph):
        self._graph = graph
        self._change = graph.watcher.create_client(ChangeState, 'vlo/change_state')
        self._look = graph.watcher.create_client(GetState, 'vlo/get_state')
        for client in (self._change, self._look):
            graph.wait_for(client.service_is_ready)

    def _ask(self, client, request):
        future = client.call_async(request)
        self._graph.wait_for(future.done)
        return future.result()

    def state(self):
        return self._ask(self._look, GetState.Request()).current_state.id

    def change(self, transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._ask(self._change, request).success

    def go(self, transitions):
        for transition in transitions:
            assert self.change(transition)
            assert self.state() == LEADS_TO[transition]


@pytest.fixture
def node(graph):
    graph.hear()
    return graph.vlo(stale_after=300.0)


def test_it_starts_pauses_goes_on_resets_and_ends(graph, scenes, node):
    manager = Manager(graph)
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    manager.go(STARTUP)
    stamps = graph.show(scenes[:3])
    manager.go(PAUSE)
    statistics = node.cameras[0].statistics
    judged = statistics.frames_judged
    graph.ask('Is anybody there?', 'q1')
    refusal = graph.wait_for(lambda: [r for r in graph.heard('response') if r.query_id == 'q1'])
    assert refusal[0].reason
    manager.go(RESUME)
    graph.show(scenes[3:6], start_ns=stamps[-1] + 500_000_000)
    assert node.cameras[0].statistics.frames_judged >= 3
    assert judged == 3
    for _ in range(2):
        manager.go(RESET)
        assert node.cameras == []
        manager.go(STARTUP)
    graph.show(scenes[:2])
    manager.go(SHUTDOWN)
    assert manager.state() == State.PRIMARY_STATE_FINALIZED


def test_a_node_that_cannot_be_configured_says_no_and_can_be_tried_again(graph, node):
    manager = Manager(graph)
    good = node.get_parameter('model').value
    set_model(node, '/nowhere/model.yaml')
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    set_model(node, good)
    manager.go(STARTUP)


def test_a_transition_that_does_not_fit_the_state_changes_nothing(graph, node):
    manager = Manager(graph)
    for transition in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP):
        assert not manager.change(transition)
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    manager.go(STARTUP)
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state() == State.PRIMARY_STATE_ACTIVE


def set_model(node, path):
    (result,) = node.set_parameters([Parameter('model', value=path)])
    assert result.successful, result.reason
