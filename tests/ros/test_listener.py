# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The listener asks what it hears, and hears nothing while the robot itself speaks."""

import os
import shlex
import signal
import subprocess
import sys

import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import Bool

pytest.importorskip('pocketsphinx', reason='pocketsphinx is not installed')
pytest.importorskip('espeakng_loader', reason='espeakng-loader is not installed')

from tests.ros.other_node import OtherNode
from tests.ros.spoken import PHRASES, spoken, with_pauses, write_wav
from vlo_ros import msg
from vlo_ros.errors import VloError
from vlo_ros.message_header import to_ns
from vlo_ros.ros.person.listener import ListenerNode
from vlo_ros.ros.person.speaker import LATCHED

LAST, WHERE = 'What did I do last?', 'Where am I?'
# A recorder that plays a file.
PLAY = 'import shutil, sys; shutil.copyfileobj(open(sys.argv[1], "rb"), sys.stdout.buffer)'


@pytest.fixture(scope='module')
def said():
    """Two questions, each with a pause around it."""
    return {text: with_pauses(spoken(text)) for text in (LAST, WHERE)}


@pytest.fixture
def listener(graph):
    def start(**parameters):
        values = {
            'node': f'{graph.namespace}/vlo',
            'speaker': f'{graph.namespace}/speaker',
            'phrases': str(PHRASES),
            **parameters,
        }
        node = ListenerNode(
            context=graph.context,
            namespace=graph.namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        return graph.start(node)

    return start


@pytest.fixture
def queries(graph):
    """What the node `vlo` hears; the watcher stands in for it."""
    graph.watcher.create_publisher(msg.Response, 'vlo/response', 10)
    return graph.listen('vlo/query', msg.Query)


class Microphone:
    """A recorder whose sound a test writes."""

    def __init__(self, folder):
        self.pipe = folder / 'microphone'
        os.mkfifo(self.pipe)
        self.recorder = f'cat {shlex.quote(str(self.pipe))}'

    def open(self):
        self.file = self.pipe.open('wb')

    def hear(self, graph, node, sound):
        """Have a listener read a sound."""
        frames = node.ear.num_frames + len(sound) // 960 - 1
        self.file.write(sound)
        self.file.flush()
        graph.wait_for(lambda: node.ear.num_frames >= frames)

    def close(self):
        self.file.close()


@pytest.fixture
def microphone(tmp_path):
    microphone = Microphone(tmp_path)
    yield microphone
    microphone.close()


def recorder_of(path):
    return shlex.join([sys.executable, '-c', PLAY, str(path)])


def texts_of(queries):
    return [query.text for query in queries]


def test_what_a_recorder_hears_becomes_stamped_queries(graph, listener, queries, said, tmp_path):
    sound = tmp_path / 'sound.raw'
    sound.write_bytes(said[LAST] + said[WHERE])
    began_ns = graph.watcher.get_clock().now().nanoseconds
    node = listener(recorder=recorder_of(sound))
    graph.wait_for(lambda: len(queries) == 2)
    first, second = queries
    assert texts_of(queries) == [LAST, WHERE]
    now_ns = graph.watcher.get_clock().now().nanoseconds
    assert began_ns < to_ns(first.stamp) < to_ns(second.stamp) < now_ns
    assert first.query_id != second.query_id
    graph.wait_for(node.over.done)
    assert node.over.result() == ''
    assert str(node.ear.counts) == '2 understood'


def test_where_clocks_differ_the_stamp_is_left_empty(graph, listener, queries, said, tmp_path):
    listener(wav=str(write_wav(tmp_path / 'a.wav', said[LAST])), unstamped=True)
    (query,) = graph.wait_for(lambda: queries)
    assert to_ns(query.stamp) == 0


def test_a_question_is_held_until_the_node_is_there(graph, listener, said, tmp_path):
    node = listener(wav=str(write_wav(tmp_path / 'a.wav', said[WHERE])))
    graph.wait_for(lambda: node.ear.counts.understood)
    assert not node.over.done()
    graph.watcher.create_publisher(msg.Response, 'vlo/response', 10)
    queries = graph.listen('vlo/query', msg.Query)
    (query,) = graph.wait_for(lambda: queries)
    assert query.text == WHERE
    graph.wait_for(node.over.done)


def test_while_the_speaker_speaks_nothing_is_heard(graph, listener, queries, said, microphone):
    speaking = graph.watcher.create_publisher(Bool, 'speaker/speaking', LATCHED)
    speaking.publish(Bool(data=True))  # before the listener is there
    node = listener(recorder=microphone.recorder)
    microphone.open()
    graph.wait_for(lambda: node.is_deaf)
    microphone.hear(graph, node, said[LAST])
    speaking.publish(Bool(data=False))
    graph.wait_for(lambda: not node.is_deaf)
    microphone.hear(graph, node, said[WHERE])
    graph.wait_for(lambda: queries)
    assert texts_of(queries) == [WHERE]
    assert str(node.ear.counts) == '1 understood'


def test_what_the_robot_interrupts_is_left_out_and_counted(
    graph, listener, queries, said, microphone
):
    speaking = graph.watcher.create_publisher(Bool, 'speaker/speaking', LATCHED)
    node = listener(recorder=microphone.recorder)
    microphone.open()
    middle = len(said[LAST]) // 4 * 2
    microphone.hear(graph, node, said[LAST][:middle])
    speaking.publish(Bool(data=True))
    graph.wait_for(lambda: node.is_deaf)
    microphone.hear(graph, node, said[LAST][middle:])
    speaking.publish(Bool(data=False))
    graph.wait_for(lambda: not node.is_deaf)
    microphone.hear(graph, node, said[WHERE])
    graph.wait_for(lambda: queries)
    assert texts_of(queries) == [WHERE]
    assert str(node.ear.counts) == '1 understood, 1 interrupted'


def test_a_speaker_that_is_gone_does_not_leave_it_deaf(graph, listener, microphone):
    speaking = graph.watcher.create_publisher(Bool, 'speaker/speaking', LATCHED)
    speaking.publish(Bool(data=True))
    node = listener(recorder=microphone.recorder)
    microphone.open()
    graph.wait_for(lambda: node.is_deaf)
    graph.watcher.destroy_publisher(speaking)
    graph.wait_for(lambda: not node.is_deaf)


def test_muted_it_hears_nothing(graph, listener, queries, said, microphone):
    node = listener(recorder=microphone.recorder, mute=True)
    microphone.open()
    microphone.hear(graph, node, said[LAST])
    node.set_parameters([Parameter('mute', value=False)])
    microphone.hear(graph, node, said[WHERE])
    graph.wait_for(lambda: queries)
    assert texts_of(queries) == [WHERE]


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'recorder': 'no-such-recorder'}, "no program 'no-such-recorder'"),
        ({'recorder': 'cat', 'phrases': '/nowhere.txt'}, r'/nowhere\.txt'),
        ({'recorder': 'cat', 'phrases': '', 'command': 'cat'}, r'as \{wav\}'),
        ({'recorder': 'cat', 'pause': 99.0}, 'listener.pause: 99.0 is outside'),
        ({'wav': '/nowhere.wav'}, r'/nowhere\.wav'),
        ({'recorder': 'cat', 'node': 'my robot'}, "'/my robot' is not the full name of a node"),
        ({'recorder': 'cat', 'speaker': '/2/speaker'}, "'/2/speaker' is not the full name"),
    ],
)
def test_a_bad_parameter_is_one_line(listener, parameters, words):
    with pytest.raises(VloError, match=words) as caught:
        listener(**parameters)
    assert '\n' not in str(caught.value)


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture
def listen(graph):
    """Start `vlo listen` with some arguments."""
    processes = []

    def start(*arguments):
        node = ('--node', f'{graph.namespace}/vlo')
        process = subprocess.Popen(
            [sys.executable, '-m', 'vlo_ros', 'listen', *node, *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_command_asks_a_node_what_a_file_says_and_ends(graph, listen, said, tmp_path):
    answers = graph.listen('vlo/response', msg.Response)
    wav = write_wav(tmp_path / 'a.wav', said[LAST] + said[WHERE])
    other = OtherNode(graph.namespace)
    try:
        process = listen('--wav', str(wav), '--phrases', str(PHRASES))
        asked = [other.next(), other.next()]
        assert [query['query'] for query in asked] == [LAST, WHERE]
        other.do(answer='You lifted the cup.')
        other.do(answer='At the sink.')
        graph.wait_for(lambda: len(answers) == 2)
        assert [answer.query_id for answer in answers] == [query['id'] for query in asked]
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        assert 'of what was said: 2 understood' in complaint
    finally:
        other.close()


def test_the_command_says_in_one_line_why_a_recorder_fails(listen):
    code = 'import sys; sys.exit("arecord: no soundcards found")'
    recorder = shlex.join([sys.executable, '-c', code])
    process = listen('--recorder', recorder, '--command', 'cat {wav}')
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = [line for line in complaint.splitlines() if 'FATAL' in line]
    assert 'no soundcards found' in line
    assert 'Traceback' not in complaint


def test_the_command_ends_on_an_interrupt(listen):
    process = listen('--recorder', 'sleep infinity', '--command', 'cat {wav}')
    assert any('asks' in line for line in iter(process.stderr.readline, ''))
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, 'Traceback' in complaint) == (0, False), complaint
