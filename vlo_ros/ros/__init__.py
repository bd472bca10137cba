# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS side: the only modules that import rclpy or messages."""
