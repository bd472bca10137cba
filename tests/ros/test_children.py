# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Children end with their parent, however it ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

PARENT = """
import sys
from pathlib import Path
from vlo_ros.ros.children import Child
child = Child('timeit', ['-n', '1', '-r', '1', 'import time; time.sleep(600)'], Path(sys.argv[1]))
print(child._process.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_does_not_outlive_a_parent_killed_without_a_word(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        # The descriptor becomes readable when the process has ended.
        assert select.select([child], [], [], 30)[0], 'the child lives on'
    finally:
        os.close(child)
        parent.stdin.close()
        parent.stdout.close()
