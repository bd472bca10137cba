"""`python -m vlo_ros ...`, installed as `vlo`."""

from vlo_ros.cli import main

if __name__ == '__main__':
    main()
