# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorders and files give frames of sound, or one line that says why not."""

import subprocess
import sys
import threading
import wave

import pytest

from vlo_ros.hearing.sound import SAMPLE_RATE, Recorder, SoundFile, recorder_command
from vlo_ros.speech.program import COMPLAINT_BYTES, SpeechError, output_of


def python(code):
    return [sys.executable, '-c', code]


def test_a_recorder_is_read_in_whole_frames():
    recorder = Recorder(python('import sys; sys.stdout.buffer.write(bytes(range(100)))'))
    assert list(recorder.frames(40)) == [bytes(range(40)), bytes(range(40, 80))]


def test_a_recorder_may_complain_as_much_as_it_likes():
    code = 'import sys; sys.stderr.write("overrun " * 100_000); sys.stdout.write("x" * 960)'
    assert list(Recorder(python(code)).frames(960)) == [b'x' * 960]
    complaint = bytearray()
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b''.join(output_of(process, complaint)) == b'x' * 960
    assert 0 < len(complaint) <= COMPLAINT_BYTES


def test_a_recorder_that_fails_says_why_in_one_line():
    recorder = Recorder(python('exit("trouble" + chr(10) + "no such device")'))
    with pytest.raises(SpeechError, match=r'failed \(1\), it said: no such device') as caught:
        list(recorder.frames(960))
    assert '\n' not in str(caught.value)


def test_a_recorder_may_take_its_leave_before_it_ends():
    code = 'import os, sys; os.close(1); os.close(2); sys.exit(3)'
    with pytest.raises(SpeechError, match=r'failed \(3\), it said: nothing'):
        list(Recorder(python(code)).frames(960))


def test_a_recorder_that_says_nothing_can_be_stopped_from_another_thread():
    recorder = Recorder(['sh', '-c', 'printf x; sleep 600'])
    frames = recorder.frames(1)
    assert next(frames) == b'x'
    thread = threading.Thread(target=recorder.stop)
    thread.start()
    assert list(frames) == []
    thread.join()


def test_a_recorder_that_is_stopped_before_it_began_does_not_begin():
    recorder = Recorder(['no-such-program'])
    recorder.stop()
    assert list(recorder.frames(1)) == []


def test_where_no_recorder_is_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(SpeechError, match='alsa-utils'):
        recorder_command()
    with pytest.raises(SpeechError, match="no program 'arecord'"):
        recorder_command('arecord -t raw')


def test_any_file_becomes_one_channel_of_16_khz(tmp_path):
    path = tmp_path / 'a.wav'
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes([0, 16]) * 2 * 44_100)
    sound = b''.join(SoundFile(path).frames(2))
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE, rel=0.01)
    assert sound[SAMPLE_RATE : SAMPLE_RATE + 2] == bytes([0, 16])


def test_a_file_without_sound_is_refused_in_one_line(tmp_path):
    (tmp_path / 'text.wav').write_text('no sound')
    for name in ('text.wav', 'nowhere.wav'):
        with pytest.raises(SpeechError, match=name) as caught:
            SoundFile(tmp_path / name)
        assert '\n' not in str(caught.value)
