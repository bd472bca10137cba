# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program `bring_up`: configures and activates a managed node once it is on the graph.

    ros2 run vlo_ros bring_up --node /robot/vlo

The launch file starts it with every start of the node. It has then never met a predecessor that
was killed: in processes that have, the services of the dead stay for up to 20 s, look ready, and
swallow what is asked of them, so that a launch file cannot configure a successor itself.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from vlo_ros.ros.interrupt import until_interrupted

NEXT_TRANSITION = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}
IN_TRANSITION = (
    State.TRANSITION_STATE_CONFIGURING,
    State.TRANSITION_STATE_ACTIVATING,
    State.TRANSITION_STATE_ERRORPROCESSING,
)
LOOK_S = 1.0
PAUSE_S = 0.2  # while somebody else's transition goes on
# Without an answer, and the node as it was before, a request was lost on the way.
LOST_AFTER_S = 5.0
# Off the graph for so long, it has left; discovery is sometimes late by a second or two.
GONE_AFTER_S = 10.0


class BringUp(Node):
    """Moves one node to active."""

    def __init__(self, target: str, executor: SingleThreadedExecutor) -> None:
        """Look for the services of the node `target`."""
        # Two of them at a time are two nodes, and containers give the same small process ids.
        name = re.sub(r'\W+', '_', f'bring_up{target}_{os.getpid()}', flags=re.ASCII)
        super().__init__(name, context=executor.context, start_parameter_services=False)
        self._target = target
        self._executor = executor
        self._get = self.create_client(GetState, f'{target}/get_state')
        self._change = self.create_client(ChangeState, f'{target}/change_state')
        executor.add_node(self)

    def run(self, timeout_s: float) -> str:
        """Bring the node up; return why it did not come, or ''.

        Args:
            timeout_s: How long the node may take to appear on the graph and answer. How long it
                takes to load its weights, and whether it answers meanwhile, is its own affair.
        """
        end = time.monotonic() + timeout_s
        while (state := self._state()) is None:
            if time.monotonic() > end:
                wrong = 'silent' if self._get.service_is_ready() else 'not on the graph'
                return f'{self._target}: {wrong} after {timeout_s:.0f} s'
        there_at = time.monotonic()
        while state != State.PRIMARY_STATE_ACTIVE:
            if state is not None or self._get.service_is_ready():
                there_at = time.monotonic()
            elif time.monotonic() - there_at > GONE_AFTER_S:
                return f'{self._target}: has left the graph'
            if state == State.PRIMARY_STATE_FINALIZED:
                return f'{self._target}: is shut down'
            if state in NEXT_TRANSITION:
                if not self._request(state):
                    return f'{self._target}: did not come up; its log says why'
            elif state is not None:
                time.sleep(PAUSE_S)
            state = self._state()
        return ''

    def _state(self) -> int | None:
        """Id of the node's state, None where nobody answers within LOOK_S."""
        if not self._get.wait_for_service(timeout_sec=LOOK_S):
            return None
        future = self._get.call_async(GetState.Request())
        self._executor.spin_until_future_complete(future, timeout_sec=LOOK_S)
        if not future.done():
            self._get.remove_pending_request(future)
            return None
        return int(future.result().current_state.id)

    def _request(self, source: int) -> bool:
        """Ask for the transition out of the state `source`; False when it failed.

        True says only that `run` is to look again: the node is beyond that state, or it did not
        hear, or it has left.
        """
        transition = Transition(id=NEXT_TRANSITION[source])
        future = self._change.call_async(ChangeState.Request(transition=transition))
        lost_at = time.monotonic() + LOST_AFTER_S
        while not future.done():
            self._executor.spin_until_future_complete(future, timeout_sec=LOOK_S)
            state = None if future.done() else self._state()
            is_busy = state is None and self._get.service_is_ready()
            if is_busy or state in IN_TRANSITION:
                lost_at = time.monotonic() + LOST_AFTER_S
            elif state != source or time.monotonic() > lost_at:
                break
        if not future.done():
            self._change.remove_pending_request(future)
            return True
        # Refused, but no longer where it was: somebody else asked for the same.
        return bool(future.result().success) or self._state() != source


def main(arguments: list[str] | None = None) -> int:
    """Bring one node up; 1 when it did not come."""
    parser = argparse.ArgumentParser(prog='bring_up', description=__doc__.splitlines()[0])
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--timeout', type=float, default=300.0, help='s for it to appear')
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(remove_ros_args(['', *given])[1:])
    rclpy.init(args=given)
    executor = SingleThreadedExecutor()
    node = BringUp(options.node, executor)
    complaint = 'interrupted'
    with until_interrupted():
        if complaint := node.run(options.timeout):
            node.get_logger().error(complaint)
    # In this order: what the middleware still holds of them ends the process otherwise.
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    return 1 if complaint else 0


if __name__ == '__main__':
    sys.exit(main())
