# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamp and frame_id of a serialized message, whatever its bytes are."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlo_ros.errors import SourceError
from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import peek_header


@pytest.mark.parametrize(('order', 'encapsulation'), [('<', b'\0\1\0\0'), ('>', b'\0\0\0\0')])
@pytest.mark.parametrize('seconds', [0, 1_750_000_000, -5])
def test_stamp_and_frame_are_read_in_either_byte_order(order, encapsulation, seconds):
    name = b'camera_link' + b'\0'
    data = encapsulation + struct.pack(f'{order}iII', seconds, 7, len(name)) + name + b'pixels'
    assert peek_header(data) == (seconds * NS_PER_S + 7, 'camera_link')


@given(st.binary(max_size=64))
def test_any_bytes_have_a_header_or_one_line(data):
    try:
        stamp_ns, _ = peek_header(data)
    except SourceError as error:
        assert len(data) < 16
        assert str(error) == f'damaged message: {len(data)} bytes hold no header'
    else:
        assert isinstance(stamp_ns, int)
