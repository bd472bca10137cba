# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The core knows nothing of ROS nor of training, and training nothing of the ROS side."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = [
    path
    for path in sorted((ROOT / 'vlo_ros').rglob('*.py'))
    if path.relative_to(ROOT).parts[:2] != ('vlo_ros', 'ros')
]
TRAINING = sorted((ROOT / 'training').rglob('*.py'))

ROS_MODULES = {'rclpy', 'rosidl_runtime_py', 'ament_index_python', 'cv_bridge', 'launch'}
GENERATED = {'vlo_ros.msg', 'vlo_ros.srv', 'vlo_ros.action'}


def imported_modules(path: Path) -> set[str]:
    """Return the absolute dotted names of all that a file imports, wherever in the file."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f'{module}.{alias.name}' for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith('import_module'):
            names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def is_below(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(f'{root}.') for root in roots)


def is_message_package(name: str) -> bool:
    return name.split('.')[0].endswith(('_msgs', '_srvs', '_interfaces'))


@pytest.mark.parametrize('path', CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_neither_ros_nor_training(path):
    forbidden = ROS_MODULES | GENERATED | {'training', 'vlo_ros.ros'}
    wrong = {
        name
        for name in imported_modules(path)
        if is_below(name, forbidden) or is_message_package(name)
    }
    assert not wrong, f'{path.relative_to(ROOT)} imports {sorted(wrong)}'


@pytest.mark.parametrize('path', TRAINING, ids=lambda path: str(path.relative_to(ROOT)))
def test_training_imports_nothing_of_ros(path):
    forbidden = ROS_MODULES | GENERATED | {'vlo_ros.ros'}
    wrong = {
        name
        for name in imported_modules(path)
        if is_below(name, forbidden) or is_message_package(name)
    }
    assert not wrong, f'{path.relative_to(ROOT)} imports {sorted(wrong)}'


@pytest.mark.parametrize(
    'line',
    [
        'import rclpy.node',
        'from rclpy import node',
        'from std_msgs.msg import Header',
        'from vlo_ros.msg import Response',
        'from vlo_ros import ros',
        'from . import ros',
        'from .ros import vlo_node',
        'from training import collate',
        'def f():\n    from . import msg',
        "importlib.import_module('rclpy')",
    ],
)
def test_the_check_itself_sees_every_way_of_importing(line, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    path = tmp_path / 'vlo_ros' / 'module.py'
    path.parent.mkdir()
    path.write_text(line)
    with pytest.raises(AssertionError, match='imports'):
        test_core_imports_neither_ros_nor_training(path)
