# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors a person can cause."""

import pytest

from vlo_ros import errors
from vlo_ros.errors import VloError, one_line

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize('kind', KINDS)
def test_every_error_is_one_and_has_a_line_in_the_tree(kind):
    assert issubclass(kind, VloError)
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


def test_one_line():
    assert one_line(ValueError('two\n  lines ')) == 'two lines'
    assert one_line(ValueError()) == 'ValueError'
    assert len(one_line(ValueError('x' * 1000))) == 300
