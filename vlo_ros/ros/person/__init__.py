# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person uses beside the running node: chat, web page, speaker, listener, live latency."""
