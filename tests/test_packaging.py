# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml, CMakeLists.txt and setup.py say the same and leave nothing behind."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import vlo_ros
from tests.test_layering import CORE, imported_modules

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
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


def normalised(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def lines_of(path):
    lines = (line.partition('#')[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def pinned(*names):
    """Packages that requirements/NAME.txt pin."""
    lines = [line for name in names for line in lines_of(REQUIREMENTS / f'{name}.txt')]
    return {normalised(line.partition('==')[0]) for line in lines if not line.startswith('-')}


def test_no_requirement_is_unpinned_or_written_twice():
    seen = {}
    for path in sorted(REQUIREMENTS.glob('*.txt')):
        for line in lines_of(path):
            if named := re.fullmatch(r'--(?:constraint|requirement) (\S+)', line):
                assert (REQUIREMENTS / named[1]).is_file(), f'{path.name}: {line}'
                continue
            assert re.fullmatch(r'[\w.-]+==[\w.]+', line), f'{path.name}: {line}'
            name = normalised(line.partition('==')[0])
            # numpy_1.txt stands in for numpy_2.txt.
            if path.name != 'numpy_1.txt':
                assert name not in seen, f'{name}: {path.name} and {seen[name]}'
                seen[name] = path.name


def test_the_two_choices_of_numpy_pin_the_same_packages():
    assert pinned('numpy_1') == pinned('numpy_2')


def setup_arguments():
    (call,) = (
        node
        for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == 'setup'
    )
    wanted = ('install_requires', 'extras_require')
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg in wanted}


def test_setup_asks_for_what_is_pinned():
    arguments = setup_arguments()
    asked = {'core': arguments['install_requires'], **arguments['extras_require']}
    for extra, files in {
        'core': ('core', 'numpy_2'),
        'person': ('person',),
        'train': ('train',),
        'cluster': ('cluster',),
    }.items():
        names = {normalised(re.match(r'[\w.-]+', line)[0]) for line in asked[extra]}
        assert names == pinned(*files), extra


# Used where they are and not asked for: docs/engine.md, docs/training.md.
OPTIONAL = {'flash_attn', 'torchao'}


def test_everything_imported_is_pinned_by_name():
    """What comes along with another package today need not come along tomorrow."""
    distributions = importlib.metadata.packages_distributions()
    wanted = pinned('core', 'numpy_2', 'person')
    missing = {}
    for path in CORE:
        for module in {name.partition('.')[0] for name in imported_modules(path)}:
            if module in {'', 'vlo_ros', *OPTIONAL, *sys.stdlib_module_names}:
                continue
            names = {normalised(name) for name in distributions.get(module, [module])}
            if not names & wanted:
                missing[str(path.relative_to(ROOT))] = module
    assert not missing


def test_every_program_begins_with_its_copyright_and_licence():
    """Those that ruff does not read; message definitions and settings carry no head."""
    page = ROOT / 'vlo_ros' / 'ros' / 'person' / 'web' / 'page'
    programs = [ROOT / 'dev', ROOT / 'CMakeLists.txt', *(ROOT / 'cmake').glob('*.*')]
    for path in (*programs, *page.iterdir()):
        head = '\n'.join(path.read_text().splitlines()[:4])
        assert re.search(r'Copyright \d{4} the vlo_ros authors', head), path
        assert 'SPDX-License-Identifier: Apache-2.0' in head, path


@pytest.mark.parametrize('package', ['vlo_ros', 'training'])
def test_every_folder_with_code_is_a_package_that_pip_finds(package):
    folders = {path.parent for path in (ROOT / package).rglob('*.py')}
    assert not [folder for folder in folders if not (folder / '__init__.py').exists()]
