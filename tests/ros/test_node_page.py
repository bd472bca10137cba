"""docs/node.md tells the parameters as they are declared."""

from pathlib import Path

from vlo_ros.ros.parameter_table import parameter_table

PAGE = Path(__file__).parents[2] / 'docs' / 'node.md'


def test_the_page_is_not_stale():
    told = PAGE.read_text(encoding='utf-8')
    assert parameter_table() in told, 'python -m vlo_ros.ros.parameter_table prints the new table'
