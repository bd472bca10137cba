# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The action ~/ask: one query, its growing response as feedback, its response as result."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.task import Future

from vlo_ros import msg
from vlo_ros.action import Ask
from vlo_ros.message_header import to_ns
from vlo_ros.ros.lanes import Lanes
from vlo_ros.ros.query_desk import QueryDesk

RESULT_TIMEOUT_S = 2.0


class _Server(ActionServer):
    """An action server that knows which results are still to come.

    Attributes:
        results: One future for each goal that was accepted and is not forgotten yet.
    """

    def __init__(self, *arguments, **options) -> None:
        self.results: list[Future] = []
        super().__init__(*arguments, **options)

    def add_future(self, future: Future) -> None:
        """Hear of the result of a goal that is accepted."""
        self.results.append(future)
        super().add_future(future)

    def remove_future(self, future: Future) -> None:
        """Hear that a result is forgotten."""
        self.results.remove(future)
        super().remove_future(future)


class AskAction:
    """Serves ~/ask of one stream on top of its query desk.

    The response also appears on ~/response, like that to any query. Canceling a goal, or its
    timeout, stops the sentence if it is being decoded; the result then holds what was said.
    """

    def __init__(
        self, node, name: str, queries: QueryDesk, lanes: Lanes, stop: Callable[[str], None]
    ) -> None:
        """Offer the action.

        Args:
            node: The node.
            name: Of the action.
            queries: Where queries go.
            lanes: The executor threads.
            stop: Given a query_id, ends its response, or refuses the query before it has begun.
        """
        self._node = node
        self._queries = queries
        self._stop = stop
        self._goals: dict[str, tuple[ServerGoalHandle, Future]] = {}
        self._lanes = lanes
        self._server = _Server(
            node,
            Ask,
            name,
            self._serve,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=self._cancel,
            callback_group=lanes.serve,
        )

    def destroy(self) -> None:
        """Withdraw the action, once goals that were just refused have their results."""
        end = time.monotonic() + RESULT_TIMEOUT_S

        def wait_for(is_done: Callable[[], bool]) -> None:
            while not is_done() and time.monotonic() < end:
                time.sleep(0.01)  # other executor threads do it

        wait_for(lambda: not self._goals)
        wait_for(lambda: all(result.done() for result in list(self._server.results)))
        if self._server.results and self._node.executor is not None:
            # Results are sent by tasks of the executor; this one stands behind them.
            wait_for(self._node.executor.create_task(lambda: None).done)
        self._server.destroy()

    def has_goals(self) -> bool:
        """Whether anybody waits for an answer here."""
        return bool(self._goals)

    def on_partial(self, message: msg.Response) -> None:
        """Pass a growing answer on to who asked."""
        if (entry := self._goals.get(message.query_id)) is not None:
            goal, _ = entry
            goal.publish_feedback(Ask.Feedback(partial_text=message.text))

    def on_response(self, message: msg.Response) -> None:
        """Give an ended answer to who asked."""
        if (entry := self._goals.get(message.query_id)) is not None:
            _, answered = entry
            if not answered.done():
                answered.set_result(message)
                self._node.executor.wake()  # who awaits a future is not woken by it

    async def _serve(self, goal: ServerGoalHandle) -> Ask.Result:
        query_id = _query_id_of(goal)
        answered = Future(executor=self._node.executor)
        self._goals[query_id] = (goal, answered)
        timeout_ns = to_ns(goal.request.timeout)
        timer = None
        if timeout_ns > 0:
            timer = self._node.create_timer(
                timeout_ns / 1e9,
                lambda: self._stop(query_id),
                self._lanes.serve,
                clock=Clock(clock_type=ClockType.STEADY_TIME),
            )
        try:
            self._queries.ask(goal.request.text, query_id)
            if goal.is_cancel_requested:  # before there was anything to stop
                self._stop(query_id)
            response = await answered
        finally:
            del self._goals[query_id]
            if timer is not None:
                self._node.destroy_timer(timer)
        if goal.is_cancel_requested:
            goal.canceled()
        elif response.state == msg.Response.STATE_CANCELLED:
            goal.abort()
        else:
            goal.succeed()
        return Ask.Result(response=response)

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        self._stop(_query_id_of(goal))
        return CancelResponse.ACCEPT


def _query_id_of(goal: ServerGoalHandle) -> str:
    """One that no query on the topic has by chance."""
    return f'ask-{bytes(goal.goal_id.uuid).hex()}'
