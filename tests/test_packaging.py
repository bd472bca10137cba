# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml, CMakeLists.txt and setup.py say the same and leave nothing behind."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import vlo_ros

ROOT = Path(__file__).resolve().parents[1]
CMAKE = (ROOT / 'CMakeLists.txt').read_text()
EXECUTABLES = dict(re.findall(r'^add_executable_of_module\((\S+) (\S+)\)', CMAKE, re.MULTILINE))


@pytest.fixture(scope='module')
def manifest():
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def names(manifest, tag):
    return {element.text for element in manifest.findall(tag)}


def test_the_version_is_the_same_everywhere(manifest):
    setup = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert manifest.findtext('version') == vlo_ros.__version__ == setup.stdout.split()[-1]


def test_the_manifest_makes_a_message_package_built_by_ament_cmake(manifest):
    assert manifest.findtext('export/build_type') == 'ament_cmake'
    assert names(manifest, 'member_of_group') == {'rosidl_interface_packages'}
    assert {'rclpy', 'cv_bridge', 'launch_ros', 'rosidl_default_runtime'} <= names(
        manifest, 'exec_depend'
    )


def test_the_manifest_names_a_maintainer_whom_the_tools_of_ros_accept(manifest):
    (maintainer,) = manifest.findall('maintainer')
    # The form that catkin_pkg, and with it colcon and bloom, asks for.
    word = r'[-a-zA-Z0-9_%+]+'
    address = rf'{word}(\.{word})*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{{2,}}'
    assert re.fullmatch(address, maintainer.get('email'))
    licence = manifest.find('license')
    assert (ROOT / licence.get('file')).read_text().lstrip().startswith('Apache License')


def test_what_the_readme_leads_to_is_there():
    for page in (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))):
        for target in re.findall(r'\]\(([^)#]+)[^)]*\)', page.read_text(encoding='utf-8')):
            if '://' not in target:
                assert (page.parent / target).exists(), f'{page.name} leads to {target}'


def test_every_message_file_is_generated():
    declared = set(re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', CMAKE))
    present = {
        f'{path.parent.name}/{path.name}'
        for folder in ('msg', 'srv', 'action')
        for path in (ROOT / folder).glob('*')
    }
    assert declared == present


def test_every_message_package_used_is_declared(manifest):
    declared = names(manifest, 'depend') | names(manifest, 'exec_depend')
    used = set()
    for path in (ROOT / 'vlo_ros' / 'ros').rglob('*.py'):
        used |= set(
            re.findall(r'^\s*from (\w+)\.(?:msg|srv|action) import', path.read_text(), re.M)
        )
    assert used - {'vlo_ros'} <= declared


def test_the_folders_that_rosidl_owns_do_not_exist_in_the_source():
    assert not [name for name in ('msg', 'srv', 'action') if (ROOT / 'vlo_ros' / name).exists()]


@pytest.mark.parametrize('module', EXECUTABLES.values(), ids=EXECUTABLES)
def test_every_executable_has_a_main(module):
    path = ROOT.joinpath(*module.split('.')).with_suffix('.py')
    assert re.search(r'^def main\(|^main = |import .*\bmain\b', path.read_text(), re.MULTILINE)


def test_no_requirement_is_unpinned_or_written_twice():
    seen = {}
    for path in sorted((ROOT / 'requirements').glob('*.txt')):
        for line in path.read_text().splitlines():
            requirement = line.partition('#')[0].strip()
            if not requirement:
                continue
            assert re.fullmatch(r'[\w.-]+==[\w.]+', requirement), f'{path.name}: {requirement}'
            name = re.sub(r'[-_.]+', '-', requirement.partition('==')[0]).lower()
            # apt.txt stands in for lines of core.txt on purpose.
            if path.name != 'apt.txt':
                assert name not in seen, f'{name}: {path.name} and {seen[name]}'
                seen[name] = path.name


@pytest.mark.parametrize('package', ['vlo_ros', 'training'])
def test_every_folder_with_code_is_a_package_that_pip_finds(package):
    folders = {path.parent for path in (ROOT / package).rglob('*.py')}
    assert not [folder for folder in folders if not (folder / '__init__.py').exists()]
