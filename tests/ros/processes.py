# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys

from lifecycle_msgs.srv import ChangeState, GetState

PATIENCE_S = 60.0
# A process imports PyTorch and transformers before it is on the graph.
START_S = 180.0


@contextlib.contextmanager
def process(argv, log, **environment):
    """Run a program, its output in the file `log`; interrupt it at the end."""
    with log.open('wb') as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise


def node_argv(module, namespace, **parameters):
    """Argv of a node of this package in a namespace."""
    argv = [
        sys.executable,
        '-m',
        f'vlo_ros.ros.{module}',
        '--ros-args',
        '-r',
        f'__ns:={namespace}',
    ]
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else value
        argv += ['-p', f'{name.replace("__", ".")}:={text}']
    return argv


def change_state(graph, name, transition_id):
    """Ask a node for a transition; return whether it succeeded."""
    client = graph.watcher.create_client(ChangeState, f'{name}/change_state')
    graph.wait_for(client.service_is_ready, START_S)
    request = ChangeState.Request()
    request.transition.id = transition_id
    future = client.call_async(request)
    graph.wait_for(future.done)
    return future.result().success


def state_of(graph, name):
    """Label of a node's lifecycle state."""
    client = graph.watcher.create_client(GetState, f'{name}/get_state')
    graph.wait_for(client.service_is_ready)
    future = client.call_async(GetState.Request())
    graph.wait_for(future.done)
    return future.result().current_state.label
