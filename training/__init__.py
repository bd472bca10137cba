# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of the streaming model: data sets, collation, training, evaluation.

Knows nothing of ROS: nothing here imports `vlo_ros.ros`, rclpy or a message.
"""
