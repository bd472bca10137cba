# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo chat` as a person uses it: in a terminal, beside a node in another process."""

import contextlib
import itertools
import os
import signal
import sys
import threading

import pytest

from tests.ros.other_node import TIMEOUT_S, OtherNode

pexpect = pytest.importorskip('pexpect', reason='pexpect is not installed')
pyte = pytest.importorskip('pyte', reason='pyte is not installed')

numbers = itertools.count()


class Terminal:
    """A terminal of 100 columns with `vlo chat` in it.

    A thread reads it all the time: a program whose terminal nobody reads stands still.
    """

    def __init__(self, namespace, *arguments):
        self.screen = pyte.HistoryScreen(100, 30, history=1000)
        self.stream = pyte.Stream(self.screen)
        self.changed = threading.Condition()  # its lock may be taken again by the holder
        self.child = pexpect.spawn(
            sys.executable,
            ['-m', 'vlo_ros', 'chat', '--node', f'{namespace}/vlo', *arguments],
            dimensions=(30, 100),
            encoding='utf-8',
            env={**os.environ, 'TERM': 'xterm-256color'},
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        with contextlib.suppress(pexpect.EOF):
            while True:
                with contextlib.suppress(pexpect.TIMEOUT):
                    words = self.child.read_nonblocking(65536, timeout=0.1)
                    with self.changed:
                        self.stream.feed(words)
                        self.changed.notify_all()

    def lines(self):
        """Everything on the screen and above it."""
        with self.changed:
            above = [
                ''.join(row[column].data for column in sorted(row))
                for row in self.screen.history.top
            ]
            return [line.rstrip() for line in (*above, *self.screen.display)]

    def wait_for(self, text):
        """Wait until a line holds `text`, and return that line."""
        self.wait_until(
            lambda lines: any(text in line for line in lines), f'{text!r} did not come'
        )
        return [line for line in self.lines() if text in line][-1]

    def wait_until_gone(self, text):
        """Wait until no line of the screen holds `text`."""
        self.wait_until(
            lambda lines: not any(text in line for line in lines[-30:]), f'{text!r} did not go'
        )

    def wait_until(self, condition, otherwise):
        with self.changed:
            is_so = self.changed.wait_for(lambda: condition(self.lines()), TIMEOUT_S)
        assert is_so, '\n'.join([otherwise, *self.lines()])

    def ends(self):
        """Wait until it has ended by itself, and return its exit status."""
        self.reader.join(TIMEOUT_S)
        assert not self.reader.is_alive(), 'it did not end'
        self.child.wait()
        return self.child.exitstatus

    def close(self):
        if self.reader.is_alive():
            self.child.kill(signal.SIGKILL)
            self.reader.join()
        self.child.close(force=True)


@pytest.fixture
def namespace():
    return f'/chat{os.getpid()}_{next(numbers)}'


@pytest.fixture
def node(namespace):
    node = OtherNode(namespace)
    yield node
    node.close()


@pytest.fixture
def terminal(namespace, node):
    with contextlib.closing(Terminal(namespace)) as terminal:
        terminal.wait_for('ask >')
        yield terminal


def test_a_person_watches_asks_while_it_talks_and_leaves(terminal, node):
    terminal.child.send('wha')
    terminal.wait_for('ask > wha')
    # It talks while the question is being typed; neither disturbs the other.
    node.do(silent=0.91)
    node.do(silent=0.83)
    node.do(grow='You lift')
    terminal.wait_for('You lift')
    terminal.child.send('t is this')
    node.do(grow='You lift the cup')
    terminal.wait_for('You lift the cup')
    terminal.wait_for('ask > what is this')
    node.do(say='You lift the cup.')
    assert '100 ms to the first word, 200 ms in all' in terminal.wait_for('You lift the cup.')
    assert 'p >= 0.83' in terminal.wait_for('silent, 2 frames')
    terminal.wait_for('ask > what is this')
    terminal.child.send('?!\x7f\r')
    assert node.next()['query'] == 'what is this?'
    terminal.wait_for('you:  what is this?')
    node.do(answer='A blue cup.')
    assert 'answered in' in terminal.wait_for('A blue cup.')
    lines = terminal.lines()
    order = [
        next(i for i, line in enumerate(lines) if text in line)
        for text in ('silent, 2 frames', 'You lift the cup.', 'what is this?', 'A blue cup.')
    ]
    assert order == sorted(order)
    terminal.child.send('/quit\r')
    assert terminal.ends() == 0


def test_a_refused_question_says_why(terminal, node):
    terminal.child.send('why?\r')
    node.next()
    node.do(refuse='the node is not active')
    terminal.wait_for('no answer: the node is not active')


def test_the_status_line_tells_how_it_goes(terminal, node):
    node.do(status={'state': 3, 'fps_received': 29.0, 'frames_dropped': 7})
    line = terminal.wait_for('no images')
    assert '29 images/s' in line and '7 dropped' in line


def test_reset_and_unknown_commands(terminal, node):
    terminal.child.send('/reset\r')
    assert node.next() == {'reset': True}
    terminal.wait_for('it has forgotten what it saw')
    terminal.child.send('/dance\r')
    terminal.wait_for('/dance is unknown')


def test_markup_in_what_is_said_is_shown_and_not_obeyed(terminal, node):
    node.do(say='a [red]b[/red] [/] c')
    terminal.wait_for('a [red]b[/red] [/] c')


def test_an_interrupt_leaves_the_terminal_as_it_was(terminal):
    terminal.child.kill(signal.SIGINT)
    assert terminal.ends() == 0
    assert not any('Traceback' in line for line in terminal.lines())


def test_a_question_typed_before_the_node_is_there_waits_for_it(namespace):
    with contextlib.closing(Terminal(namespace, '--patience', '300')) as terminal:
        terminal.wait_for(f'waiting for {namespace}/vlo')
        terminal.child.send('hello?\r')
        terminal.wait_for(f'waiting for {namespace}/vlo, to send: hello?')
        terminal.child.send('are you there?\r')
        terminal.wait_for('to send: hello? and 1 more')
        assert not any('you:' in line for line in terminal.lines())
        with contextlib.closing(OtherNode(namespace)) as node:
            assert node.next()['query'] == 'hello?'
            assert node.next()['query'] == 'are you there?'
            terminal.wait_for('you:  are you there?')
            node.do(answer='I am.')
            assert 'answered in' in terminal.wait_for('I am.')
            terminal.wait_until_gone('waiting for')
        terminal.child.send('/quit\r')
        assert terminal.ends() == 0


def test_a_question_that_nobody_comes_for_is_given_up_with_a_reason(namespace):
    with contextlib.closing(Terminal(namespace, '--patience', '0.5')) as terminal:
        terminal.wait_for('ask >')
        terminal.child.send('hello [red]?\r')
        terminal.wait_for('not sent, nobody listened for 0.5 s: hello [red]?')
        assert not any('you:' in line for line in terminal.lines())
        terminal.child.send('/quit\r')
        assert terminal.ends() == 0


def test_what_still_waits_at_the_end_is_told(namespace):
    with contextlib.closing(Terminal(namespace)) as terminal:
        terminal.wait_for('ask >')
        terminal.child.send('hello?\r/quit\r')
        assert terminal.ends() == 0
        terminal.wait_for('not sent, the end came first: hello?')
