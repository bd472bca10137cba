# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands for a person say in one line what is missing or wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments, **environ):
    return subprocess.run(
        [sys.executable, '-m', 'vlo_ros', *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('name', ['chat', 'web', 'speak', 'listen', 'latency --live'])
def test_without_ros_a_program_says_what_to_do(name, tmp_path):
    (tmp_path / 'rclpy.py').write_text("raise ImportError('no ROS here', name='rclpy')")
    done = run(*name.split(), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert 'vlo doctor' in done.stderr
    assert done.stderr.strip().count('\n') == 0, done.stderr


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ('latency', 'either a bag or --live'),
        ('latency x --live', 'either a bag or --live'),
        ('doctor --transport theora', "neither 'raw' nor 'compressed'"),
        ('annotate nowhere.mcap -o out --model tests/golden/live1plus/model.yaml', 'no such bag'),
        ('annotate . -o out --model tests/golden/live1plus/model.yaml', 'has no metadata.yaml'),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments, words):
    done = run(*arguments.split())
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.strip().count('\n') == 0, done.stderr
