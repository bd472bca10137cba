# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs what a launch file comes to, as launch does: a process that ends is started again."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

from tests.ros import launch_standin
from tests.ros.live_vlo import python_path
from tests.ros.processes import PATIENCE_S


class Launched:
    """The processes of one launch.

    Attributes:
        children: The newest process of each executable.
        starts: How often each executable was started.
    """

    def __init__(self, context, folder, modules, environment):
        self.children, self.starts = {}, {}
        self._context, self._folder = context, folder
        self._modules, self._environment = modules, environment
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = []
        for node, argv, extra in context.processes:
            self._keep_up(node, argv, extra)

    def _keep_up(self, node, argv, extra):
        thread = threading.Thread(target=self._run, args=(node, argv, extra))
        self._threads.append(thread)
        thread.start()

    def _run(self, node, argv, extra):
        name = argv[0]
        module = self._modules.get(name, f'vlo_ros.ros.{name}')
        while True:
            with self._lock:
                if self._ending.is_set():
                    return
                self.starts[name] = self.starts.get(name, 0) + 1
                with self.log(name, self.starts[name]).open('wb') as output:
                    child = self.children[name] = subprocess.Popen(
                        [sys.executable, '-m', module, *argv[1:]],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, 'PYTHONPATH': python_path(), **extra}
                        | self._environment,
                    )
                self._on_start(node)
            child.wait()
            if not node.respawn or self._ending.wait(node.respawn_delay):
                return

    def _on_start(self, node):
        for handler in self._context.handlers:
            if handler.target_action is node:
                with launch_standin.standing_in():
                    actions = handler.on_start(None, self._context)
                following = launch_standin.Context(self._context.folder, {})
                launch_standin.run_all(actions, following)
                for process in following.processes:
                    self._keep_up(*process)

    def log(self, name, number):
        """Where start `number` of an executable writes."""
        return self._folder / f'{name}_{number}.log'

    def end(self):
        """Interrupt everything."""
        with self._lock:
            self._ending.set()
        for child in self.children.values():
            child.send_signal(signal.SIGINT)
        for child in self.children.values():
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def launched(context, folder, modules=(), **environment):
    """Run it until the end of the body.

    Args:
        context: What the stand-in made of a launch file.
        folder: For the logs.
        modules: Instead of vlo_ros.ros.NAME, by the name of the executable.
        **environment: Of every process.
    """
    launched = Launched(context, folder, dict(modules), environment)
    try:
        yield launched
    finally:
        launched.end()
