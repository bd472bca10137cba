# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo doctor`: a table for people, JSON for programs, an exit status for scripts."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlo_ros.config import load_config
from vlo_ros.doctor.facts import Facts
from vlo_ros.doctor.finding import Finding, Level
from vlo_ros.doctor.graph import GRAPH_CHECKS
from vlo_ros.doctor.looking import gather
from vlo_ros.doctor.machine import MACHINE_CHECKS
from vlo_ros.errors import VloError

MARKS = {
    Level.OK: ('ok', 'green'),
    Level.SKIPPED: ('-', 'dim'),
    Level.WARNING: ('warning', 'yellow'),
    Level.ERROR: ('error', 'bold red'),
}


def run_doctor(
    model: str, image: str, image_transport: str, node: str, listen_s: float, *, as_json: bool
) -> None:
    """Look, print, and exit with status 1 if something will not work.

    Args:
        model: Model YAML, or 'bundled'.
        image: Camera topic, '' for the one that the node watches.
        image_transport: 'raw' or 'compressed'.
        node: Full name of the node.
        listen_s: How long to listen to the camera, s.
        as_json: For programs.
    """
    try:
        config = load_config(model)
    except VloError as error:
        # The doctor goes on: a missing model is one finding among others.
        facts = gather(model, error, image, image_transport, _full_name(node), listen_s)
    else:
        facts = gather(model, config, image, image_transport, _full_name(node), listen_s)
    findings = examine(facts)
    if as_json:
        typer.echo(json.dumps([describe(finding) for finding in findings], indent=2))
    else:
        print_table(findings, Console())
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(1)


def examine(facts: Facts) -> list[Finding]:
    """Run every check."""
    return [check(facts) for check in (*MACHINE_CHECKS, *GRAPH_CHECKS)]


def describe(finding: Finding) -> dict[str, str]:
    """A finding as plain data."""
    return {
        'check': finding.check,
        'level': finding.level.value,
        'message': finding.message,
        'fix': finding.fix,
    }


def print_table(findings: list[Finding], console: Console) -> None:
    """Print one line for each finding, what to do below those that need it, and a sum."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow='fold')
    for finding in findings:
        mark, style = MARKS[finding.level]
        words = Text(finding.message, 'dim' if finding.level is Level.SKIPPED else '')
        table.add_row(Text(mark, style), finding.check, words)
        if finding.fix:
            table.add_row('', '', Text(f'-> {finding.fix}', 'cyan'))
    console.print(table)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    console.print(
        f'\n{_count(counts[Level.ERROR], "error")}, {_count(counts[Level.WARNING], "warning")}, '
        f'{counts[Level.OK]} in order, {counts[Level.SKIPPED]} could not be told',
        highlight=False,
    )


def _count(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _full_name(node: str) -> str:
    return node if node.startswith('/') else f'/{node}'
