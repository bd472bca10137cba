# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `colcon build` installs, as a person finds it in a shell that has sourced it."""

import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / 'CMakeLists.txt').read_text()
PROGRAMS = re.findall(r'^add_executable_of_module\((\S+) ', CMAKE, re.MULTILINE)


@pytest.fixture(scope='module')
def prefix():
    try:
        return Path(get_package_prefix('vlo_ros'))
    except PackageNotFoundError:
        pytest.skip('the package is not installed: ./dev build')


def in_overlay(prefix, command):
    """Run a command where nothing but the overlay of this package is sourced."""
    name = 'local_setup.bash'
    # without --merge-install colcon gives each package a folder of its own
    overlay = prefix if (prefix / name).exists() else prefix.parent
    return subprocess.run(
        ['bash', '-c', f'source "$1/{name}" && {command}', 'bash', str(overlay)],
        env={'PATH': '/usr/bin:/bin', 'HOME': os.environ.get('HOME', '/')},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


def test_vlo_is_on_the_path_of_the_overlay(prefix):
    assert in_overlay(prefix, 'command -v vlo').strip() == str(prefix / 'bin' / 'vlo')
    assert 'check-model' in in_overlay(prefix, 'vlo --help')


@pytest.mark.parametrize('name', PROGRAMS)
def test_ros2_run_finds_each_program(prefix, name):
    """`ros2 run vlo_ros NAME` takes the executable file of that name below lib/vlo_ros."""
    path = prefix / 'lib' / 'vlo_ros' / name
    assert path.is_file()
    assert os.access(path, os.X_OK)
    interpreter = path.read_text().partition('\n')[0].removeprefix('#!')
    assert os.access(interpreter, os.X_OK)


@pytest.mark.ros_full
def test_ament_lint_cmake_has_nothing_to_say():
    linter = pytest.importorskip('ament_lint_cmake.main', reason='it is not installed')
    assert linter.main([str(ROOT / 'CMakeLists.txt')]) == 0


@pytest.mark.ros_full
def test_ament_xmllint_has_nothing_to_say():
    linter = pytest.importorskip('ament_xmllint.main', reason='it is not installed')
    manifest = ROOT / 'package.xml'
    (schema,) = re.findall(r'xml-model href="(\S+)"', manifest.read_text())
    try:
        urllib.request.urlopen(schema, timeout=10).close()
    except OSError as error:
        pytest.skip(f'ament_xmllint reads {schema}, which cannot be reached: {error}')
    assert linter.main([str(manifest)]) == 0
