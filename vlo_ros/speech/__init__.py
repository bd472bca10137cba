# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Responses as speech: sentences out of growing text, what to say next, voices. Needs no ROS."""
