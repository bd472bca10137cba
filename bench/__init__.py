# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: one command each; every figure names device, versions and commit."""
