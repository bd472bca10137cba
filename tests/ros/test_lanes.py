# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's executor goes on when something is destroyed under its hands."""

import threading

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.waitable import NumberOfEntities, Waitable

from vlo_ros.ros.lanes import LanesExecutor


class Vanishing(Waitable):
    """Destroyed by another thread between being gathered and being waited for, the first time."""

    def __init__(self):
        super().__init__(MutuallyExclusiveCallbackGroup())
        self.num_waits = 0

    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass

    def get_num_entities(self):
        return NumberOfEntities()

    def add_to_wait_set(self, wait_set):
        self.num_waits += 1
        if self.num_waits == 1:
            raise InvalidHandle('destruction was requested')

    def is_ready(self, wait_set):
        return False

    def take_data(self):
        return None

    async def execute(self, taken_data):
        pass


def node_with(graph, executor, waitable):
    """A node with a timer on the executor, and an event that its callback sets."""
    node = rclpy.create_node('worker', context=graph.context, namespace=graph.namespace)
    has_run = threading.Event()
    node.create_timer(0.01, has_run.set)
    waitable.callback_group.add_entity(waitable)
    node.add_waitable(waitable)
    executor.add_node(node)
    return node, has_run


def test_what_was_destroyed_meanwhile_ends_no_spin(graph):
    executor, waitable = LanesExecutor(context=graph.context), Vanishing()
    node, has_run = node_with(graph, executor, waitable)
    while not has_run.is_set():
        executor.spin_once(timeout_sec=1.0)
    assert waitable.num_waits > 1
    executor.shutdown()
    node.destroy_node()


def test_rclpy_alone_would_end_it(graph):
    executor, waitable = MultiThreadedExecutor(2, context=graph.context), Vanishing()
    node, _ = node_with(graph, executor, waitable)
    with pytest.raises(InvalidHandle):
        executor.spin_once(timeout_sec=1.0)
    executor.shutdown()
    node.destroy_node()
