# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters as the table of docs/node.md.

Print it anew: python -m vlo_ros.ros.parameter_table
"""

from __future__ import annotations

import sys

from vlo_ros.config import SYSTEM_PROMPT
from vlo_ros.ros.params import declared_settings

HEAD = '| parameter | default | accepted | takes effect | |\n| --- | --- | --- | --- | --- |\n'


def parameter_table() -> str:
    """Return one row for each parameter, in the order of their declaration."""
    return HEAD + ''.join(_row(declared) for declared in declared_settings())


def _row(declared) -> str:
    descriptor = declared.descriptor()
    default = declared.to_ros(declared.spec.default)
    shown = '(published prompt)' if default == SYSTEM_PROMPT else f'`{default!r}`'
    metadata = declared.spec.metadata
    if metadata['choices']:
        accepted = ', '.join(metadata['choices'])
    elif metadata['ge'] is not None and metadata['le'] is not None:
        accepted = f'{metadata["ge"]:.7g} to {metadata["le"]:.7g}'
    else:
        accepted = {str: 'text', bool: 'true, false', tuple: 'names'}.get(declared.type, '')
    if metadata['live']:
        when = 'at once'
    elif descriptor.additional_constraints == 'applied at the next reset':
        when = 'at a reset'
    else:
        when = 'at configure'
    doc = descriptor.description.replace('|', '\\|')
    return f'| `{declared.name}` | {shown} | {accepted} | {when} | {doc} |\n'


if __name__ == '__main__':
    sys.stdout.write(parameter_table())
