# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens again and again is said once, then counted."""

import pytest
import torch

from vlo_ros.errors import SourceError
from vlo_ros.ros import notices as module
from vlo_ros.ros.notices import Notices, is_out_of_memory


class Log:
    """Keeps what is logged."""

    def __init__(self):
        self.lines = []

    def error(self, line):
        self.lines.append(line)

    warning = info = error


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_the_first_is_said_and_the_rest_counted(clock):
    log = Log()
    notices = Notices(log)
    for number in range(50):
        notices.error('rejected', f'image {number} is empty')
        clock[0] += 1.0
    assert log.lines == ['image 0 is empty']
    assert notices.last == 'image 49 is empty'
    clock[0] += 20.0
    notices.error('rejected', 'image 50 is empty')
    assert log.lines[1:] == ['image 50 is empty (50 times in the last 70 s)']
    notices.warn('another', 'something else')
    assert log.lines[2:] == ['something else']


def test_what_is_over_is_said_only_if_it_was_reported(clock):
    log = Log()
    notices = Notices(log)
    notices.settle('stale', 'images again')
    assert log.lines == []
    for _ in range(2):
        notices.warn('stale', 'no image')
        notices.settle('stale', 'images again')
        assert notices.last == ''
    assert log.lines == ['no image', 'images again'] * 2


def test_a_mistake_of_ours_has_a_traceback_and_one_of_a_person_does_not():
    log = Log()
    notices = Notices(log)
    try:
        raise ZeroDivisionError('planted')
    except ZeroDivisionError as error:
        notices.failure('a', 'judging failed', error)
    notices.failure('b', 'judging failed', SourceError('no such file'))
    assert 'Traceback' in log.lines[0] and 'planted' in log.lines[0]
    assert notices.last == 'judging failed: no such file' == log.lines[1]


def test_a_line_is_recent_for_a_while_and_the_last_one_until_it_is_over(clock):
    notices = Notices(Log())
    assert notices.recent(10.0) == ''
    notices.error('rejected', 'image 1 is empty')
    clock[0] += 10.0
    assert notices.recent(10.0) == 'image 1 is empty'
    clock[0] += 0.5
    assert notices.recent(10.0) == ''
    assert notices.last == 'image 1 is empty'
    notices.error('rejected', 'image 2 is empty')  # counted, not logged
    assert notices.recent(10.0) == 'image 2 is empty'
    notices.settle('rejected')
    assert (notices.recent(10.0), notices.last) == ('', '')


def test_of_too_many_kinds_the_oldest_is_forgotten_and_counted(clock):
    log = Log()
    notices = Notices(log)
    for number in range(Notices.MAX_KINDS + 3):
        notices.warn(f'program {number}', f'program {number} is at fault')
    assert notices.num_forgotten == 3
    log.lines.clear()
    notices.warn('program 3', 'program 3 is at fault')  # still known
    notices.warn('program 2', 'program 2 is at fault')  # a first again
    assert log.lines == ['program 2 is at fault']


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (torch.OutOfMemoryError('CUDA out of memory'), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError('shapes differ'), False),
    ],
)
def test_knows_when_memory_ran_out(error, expected):
    assert is_out_of_memory(error) is expected
