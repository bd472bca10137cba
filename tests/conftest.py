# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Skips what this machine cannot run, and says why; loads the golden models once."""

import importlib.util
import signal
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.live import Model


def pytest_configure() -> None:
    """Heed Ctrl-C: what a shell starts in the background ignores it, and so would its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def reason_to_skip(marker: str, marker_expression: str) -> str | None:
    """Return why tests with `marker` are not run here, or None."""
    if marker == 'slow' and 'slow' not in marker_expression:
        return 'takes minutes; run it with -m slow'
    if marker == 'gpu' and not torch.cuda.is_available():
        return 'no CUDA device'
    if marker == 'ros' and not importlib.util.find_spec('rclpy'):
        return 'rclpy is not installed'
    if marker == 'ros_full' and not importlib.util.find_spec('launch_ros'):
        return 'launch_ros is not installed (it is not among the wheels)'
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the test if one of its markers asks for more than there is."""
    for marker in item.iter_markers():
        reason = reason_to_skip(marker.name, item.config.option.markexpr)
        if reason:
            pytest.skip(f'{marker.name}: {reason}')


@pytest.fixture(scope='session')
def live1plus() -> 'Model':
    """The golden model with interval and pooled patches; shared, never changed by a test."""
    from tests.live import golden_model  # torch and transformers take seconds to import

    return golden_model('live1plus')


@pytest.fixture(scope='session')
def live1() -> 'Model':
    """The golden model with one token per frame and no interval."""
    from tests.live import golden_model

    return golden_model('live1')


@pytest.fixture(scope='session', params=['live1plus', 'live1'])
def model(request: pytest.FixtureRequest) -> 'Model':
    """Each golden model in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope='session', autouse=True)
def one_thread() -> None:
    """Tiny models run faster on one thread, and give the same figures on every machine."""
    torch.set_num_threads(1)
