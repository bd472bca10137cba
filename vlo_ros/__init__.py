# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streaming video-language model for ROS 2: watches a camera and speaks when it is time to."""

from pkgutil import extend_path

# The message classes (vlo_ros.msg, vlo_ros.action) are generated into the installed package. Run
# from a checkout, this folder would hide them; extend_path joins both places.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'
