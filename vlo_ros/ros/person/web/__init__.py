# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo web`: one page beside the running node.

bridge.py     the graph: topics and parameters <-> plain events
server.py     the page, its socket, the live picture; who may see them
upload.py     a video without a camera, through `vlo replay`
page/         what the browser gets: three files, nothing from elsewhere
"""
