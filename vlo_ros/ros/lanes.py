# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor threads of the node, and how to wake those that wait for work."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from vlo_ros.ros.notices import Notices

# One thread for each lane, and two for services that take their time.
NUM_THREADS = 8


class LanesExecutor(MultiThreadedExecutor):
    """The executor of the node: outlives what is destroyed while it looks for what to wait for.

    rclpy holds event handlers while it waits, but asks them once more behind that: when another
    thread has them destroyed in between, as a cleanup does, the spin would end with InvalidHandle.
    """

    def __init__(self, **options: Any) -> None:
        """Make one with a thread for each lane."""
        super().__init__(num_threads=NUM_THREADS, **options)

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run what is ready; what is gone is left out the next time."""
        with contextlib.suppress(InvalidHandle):
            super().spin_once(timeout_sec)


@dataclass(frozen=True)
class Lanes:
    """Callback groups: one thread each at most, except `serve`.

    Attributes:
        receive: Looks at the stamps of images.
        ask: Takes queries.
        serve: Services and parameters; any number at once, so that a get_state is answered while
            configure loads weights.
        watch: The status once a second.
        wake_encode: Have the encode lane run.
        wake_decode: Have the decode lane run.
    """

    receive: CallbackGroup
    ask: CallbackGroup
    serve: CallbackGroup
    watch: CallbackGroup
    wake_encode: Callable[[], None]
    wake_decode: Callable[[], None]


def surviving(node: Node, notices: Notices, callback: Callable[..., None]) -> Callable[..., None]:
    """Wrap a callback so that a mistake of ours in it does not end the node.

    An exception that leaves a callback ends the executor's spin. Here its traceback is logged
    once, then counted. What fails because the program is ending is not worth a word.
    """

    @functools.wraps(callback)
    def run(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            if node.context.ok():
                notices.failure(callback.__name__, callback.__name__, error)

    return run


def make_lanes(
    node: Node,
    encode: Callable[[], None],
    decode: Callable[[], None],
    on_arrival: Callable[[], None],
) -> Lanes:
    """Build the lanes of `node`.

    Args:
        node: The node.
        encode: Runs whenever the encode lane is woken.
        decode: Runs whenever the decode lane is woken.
        on_arrival: Called at once when the decode lane is woken, though it may be busy.
    """
    wake_encode = node.create_guard_condition(encode, MutuallyExclusiveCallbackGroup())
    wake_decode = node.create_guard_condition(decode, MutuallyExclusiveCallbackGroup())

    def wake_the_decoder() -> None:
        on_arrival()
        wake_decode.trigger()

    return Lanes(
        receive=MutuallyExclusiveCallbackGroup(),
        ask=MutuallyExclusiveCallbackGroup(),
        serve=node.default_callback_group,
        watch=MutuallyExclusiveCallbackGroup(),
        wake_encode=wake_encode.trigger,
        wake_decode=wake_the_decoder,
    )
