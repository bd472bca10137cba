"""Tests on real rclpy; each has a domain of its own, so that nothing else is heard."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('vlo_ros.msg', reason='needs the built messages: ./dev build')


def pytest_configure(config):
    # The parser behind rclpy's type support imports a module that Python has deprecated.
    config.addinivalue_line('filterwarnings', "ignore:module 'sre_:DeprecationWarning")
