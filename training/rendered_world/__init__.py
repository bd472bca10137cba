# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training on the rendered world: tower labels, frame pool, tower training, features, export."""
