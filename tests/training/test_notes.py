# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notes of people: read from csv and topics, placed on frames, told as conversations."""

import pytest
import torch

from tests.recordings import START_NS, STORAGES, TYPES, Writer, raw_image, stamps, write_bag
from training.notes import Note, converse, place_notes, read_csv, read_topic
from vlo_ros.errors import SourceError

S = 10**9


@pytest.fixture
def csv_file(tmp_path):
    def write(text: str):
        path = tmp_path / 'notes.csv'
        path.write_text(text, encoding='utf-8')
        return path

    return write


def test_times_count_from_the_first_frame_or_are_of_the_clock(csv_file):
    path = csv_file(f'\ufefftime, text\n2.5, You  turn left.\n{START_NS / S + 1}, Early.\n')
    assert read_csv(path, START_NS) == [
        Note(START_NS + S, 'Early.'),
        Note(START_NS + 5 * S // 2, 'You turn left.'),
    ]


def test_a_question_may_come_with_its_answer(csv_file):
    path = csv_file('time,question,text\n1,Where am I?,"Here, at the dock."\n2,,You stop.\n')
    assert read_csv(path, 0) == [
        Note(S, 'Here, at the dock.', 'Where am I?'),
        Note(2 * S, 'You stop.'),
    ]


@pytest.mark.parametrize(
    ('text', 'where'),
    [
        ('when,text\n1,a\n', 'first line'),
        ('', 'first line'),
        ('time,text\n1,a\nsoon,b\n', 'line 3'),
        ('time,text\nnan,b\n', 'line 2'),
        ('time,text\n1,\n', 'line 2'),
        ('time,text\n1\n', 'line 2'),
        ('time,text\n1,a,b\n', 'line 2'),
    ],
)
def test_a_csv_that_is_none_is_one_line(csv_file, text, where):
    with pytest.raises(SourceError, match=rf'notes\.csv.*{where}'):
        read_csv(csv_file(text), 0)


def write_noted_bag(folder, offset_ns):
    """Images from START_NS on, notes recorded 1 and 2 s later; another clock by offset_ns."""
    text = TYPES.types['std_msgs/msg/String']
    with Writer(folder, version=9, storage_plugin=STORAGES['mcap']) as writer:
        images = writer.add_connection('/camera', 'sensor_msgs/msg/Image', typestore=TYPES)
        notes = writer.add_connection('/notes', 'std_msgs/msg/String', typestore=TYPES)
        for number, stamp_ns in enumerate(stamps(30)):
            image = raw_image(stamp_ns, number)
            data = TYPES.serialize_cdr(image, image.__msgtype__)
            writer.write(images, stamp_ns + offset_ns, data)
        for second, words in ((1, 'one'), (2, ' two  words '), (2, ' ')):
            data = TYPES.serialize_cdr(text(words), 'std_msgs/msg/String')
            writer.write(notes, START_NS + second * S + offset_ns, data)
    return folder


@pytest.mark.parametrize('offset_ns', [0, 3600 * S, -7 * S])
def test_notes_of_a_topic_are_on_the_clock_of_the_images(tmp_path, offset_ns):
    bag = write_noted_bag(tmp_path / 'bag', offset_ns)
    assert read_topic(bag, 'notes') == [
        Note(START_NS + S, 'one'),
        Note(START_NS + 2 * S, 'two words'),
    ]


def test_a_small_offset_is_the_way_of_the_images(tmp_path):
    bag = write_noted_bag(tmp_path / 'bag', S // 10)
    assert read_topic(bag, '/notes')[0].stamp_ns == START_NS + S + S // 10


def test_a_missing_topic_is_named_beside_those_there_are(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'sqlite3', stamps(3), extra=True)
    with pytest.raises(SourceError, match=r'no std_msgs/msg/String topic /notes.*/chatter'):
        read_topic(bag, '/notes')
    with pytest.raises(SourceError, match='no std_msgs/msg/String topic /camera'):
        read_topic(bag, '/camera')


STAMPS = torch.arange(6) * S // 2  # frames at 0, 0.5, ... 2.5 s


def test_a_note_belongs_to_the_first_frame_at_or_after_it():
    notes = [Note(n, text) for n, text in ((S // 2, 'a'), (S + 1000, 'b'), (S + 2 * 10**6, 'c'))]
    placed, lost = place_notes(notes, STAMPS)
    assert {frame: note.text for frame, note in placed.items()} == {1: 'a', 2: 'b', 3: 'c'}
    assert lost == 0


def test_notes_without_a_frame_of_their_own_are_counted():
    notes = [Note(0, 'first frame'), Note(S, 'a'), Note(S, 'b'), Note(9 * S, 'behind the end')]
    placed, lost = place_notes(notes, STAMPS)
    assert {frame: note.text for frame, note in placed.items()} == {2: 'b'}
    assert lost == 3


def test_late_notes_can_be_moved():
    placed, _ = place_notes([Note(2 * S, 'late')], STAMPS, delay_s=1.0)
    assert list(placed) == [2]


def short(conversation):
    return ' '.join(
        f'S{m["num_frames"]}:{int(m["learn"]) if m["learn"] is not True else "all"}'
        if m['role'] == 'stream'
        else f'{m["role"][0].upper()}({m["content"]})'
        for m in conversation
    )


def test_a_conversation_is_silence_but_for_the_notes():
    placed = {2: Note(0, 'a'), 3: Note(0, 'b'), 6: Note(0, 'c', 'why?')}
    assert short(converse(placed, 0, 9, 'tell')) == (
        'S1:0 U(tell) S2:all A(a) S1:all A(b) S3:2 U(why?) A(c) S2:1'
    )


def test_a_part_keeps_the_notes_within_it():
    placed = {2: Note(0, 'a'), 3: Note(0, 'b'), 6: Note(0, 'c')}
    assert short(converse(placed, 2, 6, 'tell')) == 'S1:0 U(tell) S1:all A(b) S2:1'
    assert short(converse(placed, 2, 7, 'tell')) == 'S1:0 U(tell) S1:all A(b) S3:all A(c)'


def test_frames_of_a_conversation_add_up():
    placed = {frame: Note(0, str(frame)) for frame in (1, 4, 5, 11)}
    for first in range(12):
        for end in range(first + 1, 13):
            conversation = converse(placed, first, end, 'tell')
            frames = sum(m.get('num_frames', 0) for m in conversation)
            assert frames == end - first, (first, end)
