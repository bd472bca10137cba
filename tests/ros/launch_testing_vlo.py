# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two launch files under the real launch: `python -m launch_testing.launch_test THIS_FILE`.

tests/ros/test_launch.py runs it where launch_testing is installed; the ROS wheels have none.
"""

import os
import unittest
from pathlib import Path

import launch
import launch_testing
import launch_testing.actions
import launch_testing.asserts
import rclpy
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from vlo_ros import msg

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'tests' / 'golden' / 'live1plus' / 'model.yaml'
NAMESPACE = f'launch_test_{os.getpid()}'
PATIENCE_S = 240


def generate_test_description():
    """Return demo.launch.py, which includes vlo.launch.py, with the test model."""
    arguments = {
        'source': str(MODEL.parent / 'frames.npz'),
        'model': str(MODEL),
        'threshold': '1.01',
        'namespace': NAMESPACE,
    }
    demo = PythonLaunchDescriptionSource(str(ROOT / 'launch' / 'demo.launch.py'))
    return launch.LaunchDescription(
        [
            IncludeLaunchDescription(demo, launch_arguments=arguments.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class WhileItRuns(unittest.TestCase):
    """The graph, seen from the test's own node."""

    def setUp(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('watcher', context=self.context, namespace=NAMESPACE)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def tearDown(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def wait_for(self, condition):
        deadline = self.node.get_clock().now().nanoseconds + PATIENCE_S * 10**9
        while not (value := condition()):
            self.executor.spin_once(timeout_sec=0.1)
            self.assertLess(self.node.get_clock().now().nanoseconds, deadline, 'nothing came')
        return value

    def state(self):
        future = self.states.call_async(GetState.Request())
        self.executor.spin_until_future_complete(future, timeout_sec=5.0)
        return future.result().current_state.label if future.done() else ''

    def test_the_node_becomes_active_and_speaks(self):
        heard = []
        self.node.create_subscription(
            msg.Response, 'vlo/response', heard.append, QoSProfile(depth=100)
        )
        self.states = self.node.create_client(GetState, 'vlo/get_state')
        self.wait_for(self.states.service_is_ready)
        self.wait_for(lambda: self.state() == 'active')
        self.assertEqual(self.wait_for(lambda: heard)[0].header.frame_id, 'camera')


@launch_testing.post_shutdown_test()
class AfterItsEnd(unittest.TestCase):
    """What the processes left behind."""

    def test_every_process_ended_well(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)

    def test_nothing_broke(self, proc_output):
        for process in proc_output.processes():
            text = b''.join(line.text for line in proc_output[process]).decode()
            self.assertNotIn('Traceback', text)
