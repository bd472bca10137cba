# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The speaker says what it hears on the topics, and falls silent when it is told to."""

import os
import shutil
import signal
import subprocess
import sys
import wave

import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import Bool

from vlo_ros import msg
from vlo_ros.errors import VloError
from vlo_ros.ros.person.speaker import LATCHED, SpeakerNode

# A voice that writes its text: which words were said can then be read.
TYPEWRITER = f'{sys.executable} -c "import sys; open(sys.argv[1], \'w\').write(input())" {{wav}}'
ANSWER = msg.Response.TRIGGER_QUERY
PARTIAL, FINISHED = msg.Response.STATE_PARTIAL, msg.Response.STATE_FINISHED


@pytest.fixture
def taken(monkeypatch):
    """Texts that the node's callback has dealt with."""
    take, texts = SpeakerNode._on_response, []

    def note(node, response):
        take(node, response)
        texts.append(response.text)

    monkeypatch.setattr(SpeakerNode, '_on_response', note)
    return texts


@pytest.fixture
def speaker(graph, tmp_path):
    def start(**parameters):
        values = {
            'node': f'{graph.namespace}/vlo',
            'engine': 'command',
            'command': TYPEWRITER,
            'output_folder': str(tmp_path / 'said'),
            **parameters,
        }
        node = SpeakerNode(
            context=graph.context,
            namespace=graph.namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        return graph.start(node)

    return start


def say(graph, text, sequence=0, state=FINISHED, trigger=0):
    topic = 'vlo/response/partial' if state == PARTIAL else 'vlo/response'
    response = msg.Response(text=text, sequence=sequence, state=state, trigger=trigger)
    graph.send_message(response, topic)


def files(tmp_path):
    return sorted((tmp_path / 'said').glob('*.wav'))


def test_sentences_are_said_while_the_response_still_grows(graph, speaker, tmp_path):
    speaker()
    say(graph, 'You lift the cup. Then you', state=PARTIAL)
    graph.wait_for(lambda: files(tmp_path))
    say(graph, 'You lift the cup. Then you drink.')
    graph.wait_for(lambda: len(files(tmp_path)) == 2)
    words = [path.read_text() for path in files(tmp_path)]
    assert words == ['You lift the cup.', 'Then you drink.']


def test_mute_is_obeyed_at_once(graph, speaker, taken, tmp_path):
    voice, begun = tmp_path / 'slow_voice.py', tmp_path / 'begun'
    voice.write_text(
        'import sys, time\n'
        'with open(sys.argv[1], "a") as begun:\n'
        '    print(input(), file=begun)\n'
        'time.sleep(600)\n'
    )
    begun.touch()
    node = speaker(command=f'{sys.executable} {voice} {begun} {{wav}}')
    say(graph, 'A long story.')
    graph.wait_for(begun.read_text)
    node.set_parameters([Parameter('mute', value=True)])
    graph.wait_for(lambda: not node._voice._process)
    say(graph, 'Not heard.', 1, trigger=ANSWER)  # what waits longest
    graph.wait_for(lambda: 'Not heard.' in taken)
    node.set_parameters([Parameter('mute', value=False)])
    say(graph, 'Heard.', 2)
    graph.wait_for(lambda: begun.read_text().count('\n') == 2)
    node.set_parameters([Parameter('mute', value=True)])  # else it ends when its voice does
    assert begun.read_text().splitlines() == ['A long story.', 'Heard.']
    assert files(tmp_path) == []


def test_unmuted_it_says_what_is_new_and_nothing_old(graph, speaker, taken, tmp_path):
    node = speaker(mute=True)
    say(graph, 'Old.', 0, trigger=ANSWER)
    graph.wait_for(lambda: taken)
    node.set_parameters([Parameter('mute', value=False)])
    say(graph, 'New.', 1)
    graph.wait_for(lambda: files(tmp_path))
    assert [path.read_text() for path in files(tmp_path)] == ['New.']


def test_answers_only(graph, speaker, tmp_path):
    speaker(answers_only=True)
    say(graph, 'A remark.', 0)
    say(graph, 'An answer.', 1, trigger=ANSWER)
    graph.wait_for(lambda: files(tmp_path))
    assert [path.read_text() for path in files(tmp_path)] == ['An answer.']


def test_it_tells_when_it_can_be_heard(graph, speaker, tmp_path, monkeypatch):
    pipe, player = tmp_path / 'pipe', tmp_path / 'bin' / 'pw-play'
    os.mkfifo(pipe)
    player.parent.mkdir()
    player.write_text(f'#!/bin/sh\ncat {pipe}\n')
    player.chmod(0o755)
    monkeypatch.setenv('PATH', f'{player.parent}:{os.environ["PATH"]}')
    node = speaker(output_folder='')
    states = []
    graph.watcher.create_subscription(
        Bool, 'speaker/speaking', lambda state: states.append(state.data), LATCHED
    )
    graph.wait_for(lambda: states == [False])
    say(graph, 'One.', 0)
    graph.wait_for(lambda: states == [False, True])
    pipe.open('wb').close()  # the player comes to its end
    graph.wait_for(lambda: states == [False, True, False])
    say(graph, 'Two.', 1)
    graph.wait_for(lambda: len(states) == 4)
    node.set_parameters([Parameter('mute', value=True)])
    graph.wait_for(lambda: states == [False, True, False, True, False])


@pytest.mark.skipif(not shutil.which('espeak-ng'), reason='espeak-ng is not installed')
def test_a_real_voice_writes_a_wav(graph, speaker, tmp_path):
    speaker(engine='espeak-ng')
    say(graph, 'You lift the blue cup.')
    (path,) = graph.wait_for(lambda: files(tmp_path))
    with wave.open(str(path)) as file:
        assert file.getnframes() / file.getframerate() > 0.5


@pytest.mark.parametrize('stage', ['voice', 'player'])
def test_a_mute_between_the_last_look_and_a_program_is_obeyed(
    graph, speaker, tmp_path, monkeypatch, stage
):
    ran, player = tmp_path / 'ran', tmp_path / 'bin' / 'pw-play'
    player.parent.mkdir()
    player.write_text(f'#!/bin/sh\necho player >> {ran}\n')
    player.chmod(0o755)
    monkeypatch.setenv('PATH', f'{player.parent}:{os.environ["PATH"]}')
    voice = tmp_path / 'voice.sh'
    voice.write_text(f'echo voice >> {ran}\necho > "$1"\n')
    node = speaker(output_folder='', command=f'sh {voice} {{wav}}')
    program = {'voice': node._voice, 'player': node._player}[stage]
    run, ended = program.run, []

    def mute_then_run(*arguments, **options):
        node.set_parameters([Parameter('mute', value=True)])
        ended.append(run(*arguments, **options))

    monkeypatch.setattr(program, 'run', mute_then_run)
    say(graph, 'A long story.')
    graph.wait_for(lambda: ended)
    assert ended == [False]
    assert not ran.exists() if stage == 'voice' else ran.read_text() == 'voice\n'


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'command': 'no-such-tts {wav}'}, 'no program'),
        ({'output_folder': '/proc/x'}, 'output_folder: give a folder that can be written'),
        ({'output_folder': '/dev/null'}, 'output_folder: give a folder that can be written'),
        ({'output_folder': '~nobody-of-this-name/x'}, 'output_folder: give a folder'),
        ({'node': 'my robot'}, "'/my robot' is not the full name of a node, such as /robot/vlo"),
        ({'words_per_minute': 0}, 'speaker.words_per_minute: 0 is outside 80 to 450'),
    ],
)
def test_a_bad_parameter_is_one_line(speaker, parameters, words):
    with pytest.raises(VloError, match=words) as caught:
        speaker(**parameters)
    assert '\n' not in str(caught.value)


def test_the_command_ends_on_an_interrupt(graph, tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, '-m', 'vlo_ros', 'speak', '--node', f'{graph.namespace}/vlo'),
            *('--engine', 'command'),
            *('--command', TYPEWRITER, '--output-folder', str(tmp_path / 'out folder')),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = f'says what {graph.namespace}/vlo responds'
    assert any(begun in line for line in iter(process.stderr.readline, ''))
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, 'Traceback' in complaint) == (0, False), complaint
