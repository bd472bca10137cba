# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m vlo_ros ...`, installed as `vlo`."""

from vlo_ros.cli import main

if __name__ == '__main__':
    main()
