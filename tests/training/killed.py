# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kills a program with SIGKILL at a moment of what it does to files; any such run can be repeated.

A moment is the instant before a file below a folder is opened for writing, renamed or removed or
a folder is made there, and the instant behind opening, when the file is empty.

python -m tests.training.killed FOLDER MOMENT MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.chance import source_of_chance

ROOT = Path(__file__).parents[2]
_CHANGES = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir'}


class Moments:
    """Counts the moments below a folder, and kills the process at the lethal one."""

    def __init__(self, folder: Path, lethal: int = 0) -> None:
        self.count = 0
        self._below = f'{folder}{os.sep}'
        self._lethal = lethal
        self._active = True
        sys.addaudithook(self._watch)

    def stop(self) -> int:
        """End the counting, as a hook can never be taken away; return the count."""
        self._active = False
        return self.count

    def _watch(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._active or not (event == 'open' or event in _CHANGES):
            return
        try:
            path = os.path.abspath(os.fsdecode(args[0]))
        except TypeError:
            return  # a descriptor
        if not path.startswith(self._below):
            return
        if event != 'open':
            self._pass()
        elif args[2] & (os.O_WRONLY | os.O_RDWR):
            self._pass()
            if args[2] & os.O_TRUNC:
                self._pass(emptied=path)

    def _pass(self, emptied: str = '') -> None:
        self.count += 1
        if self.count == self._lethal:
            self._active = False
            if emptied:
                Path(emptied).write_bytes(b'')
            os.kill(os.getpid(), signal.SIGKILL)


def check_killed_equals_whole(
    folder: Path,
    module: str,
    arguments: Sequence[str],
    run: Callable[[], None],
    result: Callable[[], Any],
) -> None:
    """Kill a program at a random moment, finish it, and compare with a run that was left alone.

    Args:
        folder: What the program makes; empty at the beginning.
        module: The program.
        arguments: Its arguments.
        run: The same program in this process.
        result: What is compared, read from `folder`.
    """
    moments = Moments(folder)
    run()
    total = moments.stop()
    expected = result()
    assert total > 1 and expected
    shutil.rmtree(folder)
    folder.mkdir()
    lethal = source_of_chance().randint(1, total)
    print(f'killed at moment {lethal} of {total}')
    child = subprocess.run(
        [sys.executable, '-m', 'tests.training.killed', str(folder), str(lethal), module,
         *arguments],
        cwd=ROOT, env={**os.environ, 'TQDM_DISABLE': '1'}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stdout + child.stderr
    run()
    assert result() == expected


def main() -> None:
    """Run a module and kill it."""
    folder, lethal, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    Moments(Path(folder), int(lethal))
    runpy.run_module(module, run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
