"""The program `bring_up`: configures and activates a managed node once it is on the graph.

    ros2 run vlo_ros bring_up --node /robot/vlo

The launch file starts it with every start of the node. It has then never met a predecessor that
was killed: in processes that have, the services of the dead stay for up to 20 s, look ready, and
swallow what is asked of them, so that a launch file cannot configure a successor itself.
"""

from __future__ import annotations

import argparse
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
# Without an answer, and the node as it was before, a request was lost on the way.
LOST_AFTER_S = 5.0


class BringUp(Node):
    """Moves one node to active."""

    def __init__(self, target: str, executor: SingleThreadedExecutor) -> None:
        """Look for the services of the node `target`."""
        super().__init__('bring_up')
        self._target = target
        self._executor = executor
        self._get = self.create_client(GetState, f'{target}/get_state')
        self._change = self.create_client(ChangeState, f'{target}/change_state')
        executor.add_node(self)

    def run(self, timeout_s: float) -> str:
        """Bring the node up; return why it did not come, or ''.

        Args:
            timeout_s: How long the node may take to appear on the graph. How long it takes to
                load its weights is its own affair.
        """
        end = time.monotonic() + timeout_s
        while (state := self._state()) is None:
            if time.monotonic() > end:
                return f'{self._target}: not on the graph after {timeout_s:.0f} s'
        while state != State.PRIMARY_STATE_ACTIVE:
            if state is None:
                return f'{self._target}: has left the graph'
            if state == State.PRIMARY_STATE_FINALIZED:
                return f'{self._target}: is shut down'
            if state in NEXT_TRANSITION and not self._request(NEXT_TRANSITION[state]):
                return f'{self._target}: did not come up; its log says why'
            state = self._state()
        return ''

    def _state(self) -> int | None:
        """Id of the node's state, None where nobody answers."""
        for _ in range(3):
            if self._get.service_is_ready():
                future = self._get.call_async(GetState.Request())
                self._executor.spin_until_future_complete(future, timeout_sec=LOOK_S)
                if future.done():
                    return int(future.result().current_state.id)
            else:
                self._get.wait_for_service(timeout_sec=LOOK_S)
        return None

    def _request(self, transition_id: int) -> bool:
        """Ask for a transition; False when the node says that it failed."""
        request = ChangeState.Request(transition=Transition(id=transition_id))
        future = self._change.call_async(request)
        lost_at = time.monotonic() + LOST_AFTER_S
        while not future.done():
            self._executor.spin_until_future_complete(future, timeout_sec=LOOK_S)
            state = self._state()
            if state in IN_TRANSITION:
                lost_at = time.monotonic() + LOST_AFTER_S
            elif NEXT_TRANSITION.get(state) != transition_id or time.monotonic() > lost_at:
                return True  # it is beyond that, or did not hear: `run` looks again
        return bool(future.result().success)


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
