# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node of scripted_node.py in a process of its own."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from pathlib import Path

TIMEOUT_S = 60.0


class OtherNode:
    """The node that talks like `vlo`, and what it was told."""

    def __init__(self, namespace):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('scripted_node.py')), namespace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        assert self.next() == {'ready': True}

    def read(self):
        for line in self.process.stdout:
            self.told.put(json.loads(line))

    def next(self):
        return self.told.get(timeout=TIMEOUT_S)

    def do(self, **order):
        self.process.stdin.write(json.dumps(order) + '\n')
        self.process.stdin.flush()

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()
            self.process.stdout.close()
