# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from training.datasets.edit_distance import aued, edit_distance, nearest
from training.datasets.ego4d_lta import Taxonomy, read_taxonomy
from training.datasets.sample import BuildOptions


def test_taxonomy_words(root, outputs):
    recorded = outputs['ego4d_lta_train']
    taxonomy = read_taxonomy(BuildOptions(root, official=True))
    assert list(taxonomy.verbs) == recorded['verbs']
    assert list(taxonomy.nouns) == recorded['nouns']
    assert taxonomy.most_common_action == recorded['most_common_action']


def test_parsing_as_recorded(root, outputs):
    taxonomy = read_taxonomy(BuildOptions(root, official=True))
    for case in outputs['lta_parse']:
        assert [list(labels) for labels in taxonomy.parse(case['text'])] == case['ids']


def test_the_most_common_action_is_counted_in_training(root, files):
    """Corrected: officially it is the first of the taxonomy, whatever people do."""
    clips = next(content for path, content in files.items() if path.endswith('lta_train.json'))
    pairs = [(clip['verb_label'], clip['noun_label']) for clip in clips['clips']]
    most = max(pairs.count(pair) for pair in pairs)
    expected = min(pair for pair in pairs if pairs.count(pair) == most)
    taxonomy = read_taxonomy(BuildOptions(root))
    assert expected != (0, 0)
    assert taxonomy.parse('nothing to read', 3) == [expected] * 3
    assert read_taxonomy(BuildOptions(root, official=True)).parse('', 3) == [(0, 0)] * 3


def test_words_of_several_senses(tree):
    verbs = ['cut_(trim,_slice)', 'turn-on_(switch)']
    nouns = ['nut_(food)', 'dust_pan', "chip_(wood'_metal),"]
    root = tree(
        {
            'datasets/ego4d/v2/annotations/fho_lta_taxonomy.json': {
                'verbs': verbs,
                'nouns': nouns,
            }
        }
    )
    taxonomy = read_taxonomy(BuildOptions(root))
    assert taxonomy.verbs == ('cut', 'turn-on')
    assert taxonomy.nouns == ('nuts', 'dust pan', 'chips')


def test_lines_are_found_by_their_number():
    taxonomy = Taxonomy(['pick', 'cut'], ['cup', 'egg'])
    text = 'Sure:\n1. Cut egg.\nand\nthen 2. pick egg\n3) pick cup\n10.Cut cup'
    assert taxonomy.parse(text, 3) == [(1, 1), (0, 1), (1, 0)]
    numbered = Taxonomy(['cut', '2. cut'], ['cup'])
    assert numbered.parse('1. 2. cut cup', 1) == [(1, 0)]


def test_aued_as_recorded(outputs):
    recorded = outputs['lta_aued']
    assert aued(recorded['preds'], recorded['labels']) == pytest.approx(
        recorded['AUED'], abs=1e-12
    )
    assert edit_distance(recorded['preds'], recorded['labels']) == pytest.approx(
        recorded['edit_distance'], abs=1e-12
    )


def test_aued_of_nothing_is_an_error():
    with pytest.raises(ValueError, match='at least one sample'):
        aued([], [])


def test_equally_near_texts_are_told_apart_by_code_point():
    assert nearest('b', ['c', 'a']) == 'a'
    assert nearest('b', ['a', 'c']) == 'a'
    assert nearest('a', ['b', 'B']) == 'B'
