# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transport of Fast DDS that lets large best-effort images through. Knows nothing of ROS.

On the default one a message above LARGE_BYTES is cut into pieces, and nearly all are lost.
"""

from __future__ import annotations

TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
LARGE_DATA = 'LARGE_DATA?max_msg_size=2MB&sockets_size=2MB&non_blocking=true'
LARGE_BYTES = 500_000


def carries_large_data(transports: str) -> bool:
    """Whether a value of the variable TRANSPORTS does."""
    return transports.startswith('LARGE_DATA')
