# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's messages without ROS: read from msg/*.msg, for bags that are written or read here.

The built classes of rclpy have the same fields, so code that reads one reads the other.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vlo_ros.errors import VloError

DECISION, RESPONSE = 'vlo_ros/msg/Decision', 'vlo_ros/msg/Response'
NAMES = ('Decision', 'Query', 'Response', 'StreamStatus')


def message_types() -> Any:
    """Return a rosbags typestore with the standard messages and those of vlo_ros.

    Raises:
        VloError: The definitions are not installed.
    """
    typestore: Any = get_typestore(Stores.LATEST)
    folder = definitions_folder()
    for name in NAMES:
        text = (folder / f'{name}.msg').read_text(encoding='utf-8')
        typestore.register(get_types_from_msg(text, f'vlo_ros/msg/{name}'))
    return typestore


def definitions_folder() -> Path:
    """Where the .msg files are: in the checkout, in an overlay, or in the environment.

    Raises:
        VloError: Nowhere.
    """
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    candidates = [
        Path(__file__).resolve().parents[1] / 'msg',
        *(Path(prefix) / 'share' / 'vlo_ros' / 'msg' for prefix in prefixes if prefix),
    ]
    for folder in candidates:
        if all((folder / f'{name}.msg').is_file() for name in NAMES):
            return folder
    raise VloError(
        'the message definitions of vlo_ros were not found: source install/setup.bash, or install '
        'the package again'
    )
