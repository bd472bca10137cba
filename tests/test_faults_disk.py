# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The disk fills up while `vlo annotate` writes, in a process of its own."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.annotated_bags import GOLDEN, PLUGINS, write_bag

ROOT = Path(__file__).resolve().parents[1]


def annotate(bag, output, most_bytes, storage):
    """Run the command where no file may grow beyond `most_bytes`."""
    arguments = ['annotate', bag, '--model', GOLDEN / 'model.yaml']
    arguments += ['--output', output, '--storage', storage]
    return subprocess.run(
        [sys.executable, '-m', 'vlo_ros', *arguments],
        cwd=ROOT,
        env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1', 'COLUMNS': '200'},
        capture_output=True,
        text=True,
        timeout=250,
        # Python ignores the signal that goes with it: write() fails, as on a full disk.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )


@pytest.mark.parametrize('storage', PLUGINS)
def test_a_disk_that_fills_up_leaves_one_line_and_no_file(tmp_path, storage):
    bag = write_bag(tmp_path / 'bag')
    whole = sum(path.stat().st_size for path in bag.iterdir())
    before = sorted(path.name for path in tmp_path.iterdir())
    done = annotate(bag, tmp_path / 'out', whole // 2, storage)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(said) == 1, done.stderr
    assert str(tmp_path / 'out') in said[0] and 'nothing is left of it' in said[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
