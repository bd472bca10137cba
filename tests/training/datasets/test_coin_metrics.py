# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from training.datasets.coin import accuracy, procedure_accuracy, read_coin, task_words
from training.datasets.sample import BuildOptions


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('name', ['step', 'next', 'task', 'procedure', 'taskprocedure'])
def test_accuracy_as_recorded(outputs, name, split):
    recorded = outputs[f'coin_{name}_{split}']
    predictions = recorded['metric']['predictions']
    if name.endswith('procedure'):
        percent = procedure_accuracy(
            predictions, recorded['labels'], recorded['categories'], official=True
        )
    else:
        percent = accuracy(predictions, recorded['labels'], recorded['categories'])
    assert percent == pytest.approx(recorded['metric']['result']['accuracy'], abs=1e-12)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_official_categories_are_those_of_the_split(root, outputs, split):
    annotations = read_coin(BuildOptions(root, split, official=True))
    assert list(annotations.step_categories) == outputs[f'coin_step_{split}']['categories']
    assert list(annotations.task_categories) == outputs[f'coin_task_{split}']['categories']


def test_categories_are_those_of_the_whole_data_set(root, outputs):
    """Corrected: how hard a test is must not depend on which videos it has."""
    train = read_coin(BuildOptions(root, 'train'))
    test = read_coin(BuildOptions(root, 'test'))
    assert train.step_categories == test.step_categories
    assert set(train.step_categories) == {
        category
        for split in ('train', 'test')
        for category in outputs[f'coin_step_{split}']['categories']
    }
    assert train.task_categories == test.task_categories


def test_a_step_that_is_not_named_is_wrong():
    labels, categories = [['cut the bread', 'pour the water']], ['cut the bread', 'pour the water']
    named = ['1. Cut the bread.']
    assert procedure_accuracy(named, labels, categories) == 50
    assert procedure_accuracy(named, labels, categories, official=True) == 100


def test_case_and_full_stop_do_not_count():
    """Officially a capital and a full stop cost two edits, here enough for the wrong category."""
    labels, categories = [['abc']], ['abc', 'Dbcx']
    assert procedure_accuracy(['1. ABC.'], labels, ['abc', 'ABD.']) == 100
    assert procedure_accuracy(['1. ABC.'], labels, ['abc', 'ABD.'], official=True) == 0
    assert procedure_accuracy([' 1. abc'], labels, categories) == 100


def test_predictions_must_match_labels():
    with pytest.raises(ValueError, match='not 1 and 2'):
        accuracy(['a'], ['a', 'b'], ['a'])
    with pytest.raises(ValueError, match='at least one'):
        procedure_accuracy([], [], ['a'])


def test_task_words():
    for name, words in {
        'ReplaceCDDriveWithSSD': 'replace CD drive with SSD',
        'AssembleTVStand': 'assemble TV stand',
        'ReplaceSIMCard': 'replace SIM card',
        'UseNBAHoop': 'use NBA hoop',
        'MakeRJ45Cable': 'make RJ45 cable',
        'PutOnHairExtensions': 'put on hair extensions',
    }.items():
        assert task_words(name) == words
