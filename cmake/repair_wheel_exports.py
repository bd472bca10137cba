# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the CMake exports of the ROS wheels point at this environment's headers.

The `ros-*` wheels name the include folders of the machine that built them (/opt/python/...), and
CMake stops at an imported target with a folder that does not exist. Run it with the interpreter
of the environment to mend; a second run changes nothing.
"""

import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy

PYTHON_INCLUDE = re.compile(r'/opt/python/cp\d+-cp\d+/include/python3\.\d+')
NUMPY_INCLUDE = re.compile(
    r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/(?:_core|core)/include'
)


def repair(prefix: Path, python_include: str, numpy_include: str) -> list[Path]:
    """Rewrite the exports below `prefix` and return those that changed."""
    changed = []
    for path in sorted(prefix.glob('share/*/cmake/export_*Export.cmake')):
        old = path.read_text()
        new = PYTHON_INCLUDE.sub(lambda _: python_include, old)
        new = NUMPY_INCLUDE.sub(lambda _: numpy_include, new)
        if new == old:
            continue
        # uv hard-links installed files to its cache: replace the file, never write into it.
        with tempfile.NamedTemporaryFile('w', dir=path.parent, delete=False) as file:
            file.write(new)
        os.chmod(file.name, path.stat().st_mode)
        os.replace(file.name, path)
        changed.append(path)
    return changed


def main() -> int:
    """Repair the environment of the running interpreter."""
    changed = repair(Path(sys.prefix), sysconfig.get_path('include'), numpy.get_include())
    print(f'repaired {len(changed)} CMake exports of the ROS wheels')
    return 0


if __name__ == '__main__':
    sys.exit(main())
