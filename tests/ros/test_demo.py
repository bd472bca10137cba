# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo, as a person starts it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.ros.graph import TINY_MODEL

DEMO = [
    *(sys.executable, '-m', 'vlo_ros.ros.demo'),
    *('--model', str(TINY_MODEL), '--source', str(TINY_MODEL.parent / 'frames.npz')),
]


@pytest.fixture
def environment():
    """A domain of its own: the demo's node is /vlo, whoever else runs."""
    domain = 1 + (int(os.environ['ROS_DOMAIN_ID']) + 50) % 100
    return {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'COLUMNS': '200'}


@pytest.mark.timeout(600)
def test_answers_what_is_piped_in(environment):
    child = subprocess.Popen(
        DEMO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    killer = threading.Timer(300, child.kill)
    killer.start()
    child.stdin.write('What am I doing?\n')
    child.stdin.flush()
    shown = ''
    wanted = {'answered in', r'\d\.\d s  [A-Z].*to the first word'}
    while wanted and (line := child.stdout.readline()):
        shown += line
        wanted -= {pattern for pattern in wanted if re.search(pattern, line)}
    child.send_signal(signal.SIGINT)
    rest, complaint = child.communicate()
    killer.cancel()
    assert (child.returncode, wanted, complaint) == (0, set(), ''), shown + rest
    assert 'This is a test model: its words are not meant to be true.' in shown
    assert 'you:  What am I doing?' in shown


@pytest.mark.timeout(600)
def test_ends_by_itself(environment):
    done = subprocess.run(
        [*DEMO, '--seconds', '1'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ''), done.stdout


@pytest.mark.timeout(600)
def test_on_a_terminal_a_question_is_typed_and_ctrl_c_ends_it(environment):
    master, slave = pty.openpty()
    child = subprocess.Popen(
        DEMO, stdin=slave, stdout=slave, stderr=slave, env={**environment, 'TERM': 'xterm'}
    )
    os.close(slave)
    screen = ''

    def read_until(pattern):
        nonlocal screen
        end = time.monotonic() + 120
        while not re.search(pattern, screen):
            assert time.monotonic() < end, screen[-3000:]
            if select.select([master], [], [], 0.1)[0]:
                screen += os.read(master, 65536).decode(errors='replace')

    try:
        read_until('to the first word')
        read_until('images/s')
        os.write(master, b'What am I dooing?')
        read_until(r'ask > \S*What am I dooing')
        os.write(master, b'\x7f' * 7 + b'doing?\r')
        read_until(r'you:  What am I doing\?')
        read_until('answered in')
        os.write(master, b'\x03')  # the terminal makes an interrupt of it only for its own session
        child.send_signal(signal.SIGINT)
        end = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
        assert child.wait(10) == 0
    finally:
        child.kill()
        os.close(master)


def test_what_cannot_be_shown_is_one_line(environment):
    done = subprocess.run(
        [*DEMO[:3], '--model', '/nowhere.yaml'],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=100,
    )
    assert done.returncode == 1
    assert 'demo: model YAML /nowhere.yaml: No such file or directory' in done.stdout
    assert 'Traceback' not in done.stdout + done.stderr
