# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo doctor`: looks for what keeps the node from working, and says what to do about it.

    facts.py      what is the case on this machine and on the graph, as plain data
    looking.py    finds it out; nothing is judged
    machine.py    checks of the machine: facts -> findings
    graph.py      checks of the graph and the camera: facts -> findings
    command.py    the table, the JSON, the exit status

A check is a function of facts alone, so every mistake can be planted in a test. The graph is
looked at by a process of its own (vlo_ros/ros/graph_probe.py): a broken ROS cannot take the doctor
along.
"""
