# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be said is a file with one question a line."""

import pytest

from vlo_ros.hearing.phrases import MOST, grammar_of, read_phrases, words_in
from vlo_ros.speech.program import SpeechError


def test_phrases_are_lines_and_are_known_by_their_words(tmp_path):
    path = tmp_path / 'phrases.txt'
    path.write_text("# mine\n\nWhere's it?\n  What, now - left-hand!\nwheres it\nWHERE'S it.\n")
    assert read_phrases(path) == {
        "where's it": "Where's it?",
        'what now left hand': 'What, now - left-hand!',
        'wheres it': 'wheres it',
    }


def test_the_grammar_holds_the_phrases():
    assert 'public <question> = what now | where;' in grammar_of(['what now', 'where'])


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('where\nwhere zorgle', "line 2: .* no word 'zorgle'"),
        ('# where\n', 'holds 0, 1 to'),
        ('\n'.join('where ' * n for n in range(1, MOST + 2)), f'holds {MOST + 1}, 1 to'),
    ],
)
def test_phrases_that_cannot_be_used_are_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / 'phrases.txt'
    path.write_text(text)
    with pytest.raises(SpeechError, match=words) as caught:
        read_phrases(path, {'where'})
    assert '\n' not in str(caught.value)


def test_phrases_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(SpeechError, match=r'nowhere\.txt'):
        read_phrases(tmp_path / 'nowhere.txt')
    (tmp_path / 'latin.txt').write_bytes(b'caf\xe9')
    with pytest.raises(SpeechError, match=r'latin\.txt'):
        read_phrases(tmp_path / 'latin.txt')


def test_the_words_of_a_dictionary(tmp_path):
    path = tmp_path / 'x.dict'
    path.write_text("a AH\na(2) EY\nwhere's W EH R Z\n\n")
    assert {'a', "where's"} <= words_in(path)
