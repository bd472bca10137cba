"""Skips what this machine cannot run, and says why."""

import importlib.util
import os

import pytest
import torch


def reason_to_skip(marker: str) -> str | None:
    """Return what this machine lacks for tests with `marker`, or None."""
    if marker == 'gpu' and not torch.cuda.is_available():
        return 'no CUDA device'
    if marker == 'ros' and not importlib.util.find_spec('rclpy'):
        return 'rclpy is not installed'
    if marker == 'ros_full' and not importlib.util.find_spec('launch_ros'):
        return 'launch_ros is not installed (it is not among the wheels)'
    if marker == 'weights' and not os.environ.get('VLO_WEIGHTS'):
        return 'VLO_WEIGHTS names no folder with the published weights'
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the test if one of its markers asks for more than there is."""
    for marker in item.iter_markers():
        reason = reason_to_skip(marker.name)
        if reason:
            pytest.skip(f'{marker.name}: {reason}')
