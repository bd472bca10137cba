# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a program that spins comes to its end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation

RCLError = rclpy_implementation.RCLError


@contextlib.contextmanager
def until_interrupted() -> Iterator[None]:
    """Let Ctrl-C or a shutdown of the context end the body without a word.

    A terminal and launch both send SIGINT: from here on the second is ignored, so that it does not
    break what the program does at its end.
    """
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RCLError:  # the context went while something was about to use it
        if rclpy.ok():
            raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
