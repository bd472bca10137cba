# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speech as queries: sound, utterances cut out of it, their words. Needs no ROS."""
