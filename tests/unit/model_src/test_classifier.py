from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from classifier import Ngrams, TextClassifier, character_ngrams, softmax, word_ngrams
from features import prepare
from fitting import best_sharpness, fit
from hyperparameters import LOSSES, Hyperparameters
from sklearn.feature_extraction.text import TfidfVectorizer
from textprep import text_features

from tests.tiny_model import EXAMPLES

TEXTS, LABELS = (list(part) for part in zip(*EXAMPLES, strict=True))
NEW = ["很喜欢", "太差了，不要买", "win free money", "see the agenda", "", "\ud800", "👩\u200d🚀", "ＦＲＥＥ money"]
REAL = sorted(
    paragraph
    for file in sorted((Path(__file__).parents[3]).glob("README*.md"))
    for paragraph in file.read_text(encoding="utf-8").split("\n\n")
)


def trained(**choices: object) -> TextClassifier:
    return fit(TEXTS, LABELS, Hyperparameters(**choices))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shortest", "longest", "text", "ngrams"),
    [
        (1, 2, "aba", ["a", "b", "a", "ab", "ba"]),
        (3, 4, "很喜欢", ["很喜欢"]),
        (2, 2, "  Ａ\n Ｂ ", ["a ", " b"]),
        (2, 3, "a", []),
        (1, 1, " ", []),
    ],
)
def test_character_ngrams_are_those_of_the_prepared_text(
    shortest: int, longest: int, text: str, ngrams: list[str]
) -> None:
    assert character_ngrams(shortest, longest, text) == ngrams


@pytest.mark.parametrize(
    ("longest", "text", "ngrams"),
    [
        (1, "Where's my Card?", ["where's", "my", "card", "?"]),
        (2, "质量差", ["质", "量", "差", "质 量", "量 差"]),
        (1, "iPhone很好, 100分_", ["iphone", "很", "好", ",", "100", "分", "_"]),
        (3, "a b c d", ["a", "b", "c", "d", "a b", "b c", "c d", "a b c", "b c d"]),
        (2, " ", []),
    ],
)
def test_words_are_words_han_characters_and_punctuation_marks(longest: int, text: str, ngrams: list[str]) -> None:
    assert word_ngrams(longest, text) == ngrams


@pytest.mark.parametrize("of", [partial(character_ngrams, 1, 3), partial(word_ngrams, 2)])
def test_the_features_of_real_texts_are_those_of_scikit_learns_tfidf(of: partial[list[str]]) -> None:
    assert len(REAL) > 40
    learned, new = REAL[::2], REAL[1::2]
    vectorizer = TfidfVectorizer(analyzer=of, sublinear_tf=True, dtype=np.float64).fit(learned)
    ngrams = Ngrams(of=of, columns=vectorizer.vocabulary_, idf=vectorizer.idf_.astype(np.float32))
    for text, expected in zip([*learned, *new, ""], vectorizer.transform([*learned, *new, ""]).toarray(), strict=True):
        columns, values = ngrams.row(text)
        row = np.zeros(len(vectorizer.vocabulary_))
        row[columns] = values
        assert np.allclose(row, expected, atol=1e-6)


def test_character_ngrams_are_those_of_scikit_learn_too() -> None:
    analyze = TfidfVectorizer(analyzer="char", preprocessor=prepare, ngram_range=(1, 4)).build_analyzer()
    for text in [*REAL, *NEW]:
        assert sorted(character_ngrams(1, 4, text)) == sorted(analyze(text))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("labels", [2, 4])
def test_probabilities_sum_to_one_for_any_text(loss: str, labels: int) -> None:
    chosen = Hyperparameters(loss=loss, max_features=500)
    classifier = fit(TEXTS[: 8 * labels], LABELS[: 8 * labels], chosen)
    probabilities = classifier.predict_proba(NEW)
    assert probabilities.shape == (len(NEW), labels)
    assert np.all(probabilities >= 0)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert classifier.predict(TEXTS[: 8 * labels]) == LABELS[: 8 * labels]


def test_no_texts_have_no_probabilities() -> None:
    classifier = trained(max_features=100)
    assert classifier.predict_proba([]).shape == (0, 4)
    assert classifier.predict([]) == []


def test_a_text_has_the_same_scores_alone_and_among_others() -> None:
    classifier = trained()
    together = classifier.predict_proba(NEW)
    for text, row in zip(NEW, together, strict=True):
        assert np.array_equal(classifier.predict_proba([text])[0], row)


def test_a_stored_model_is_the_same_model(tmp_path: Path) -> None:
    classifier = trained(text_features=True)
    joblib.dump(classifier, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert loaded.labels == ("bad", "good", "not spam", "spam")
    assert all(type(label) is str for label in loaded.predict(NEW))
    assert np.array_equal(loaded.predict_proba(NEW), classifier.predict_proba(NEW))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_texts_and_choices_give_the_same_bytes(loss: str) -> None:
    first, second = (pickle.dumps(trained(loss=loss, text_features=True)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_of_several_regularizations_the_one_with_the_least_log_loss_is_chosen(loss: str) -> None:
    confused = [*LABELS[:6], *LABELS[8:10], *LABELS[8:14], *LABELS[:2]]  # a quarter of the reviews is labelled wrongly
    chosen = fit(TEXTS[:16], confused, Hyperparameters(loss=loss, max_features=200)).regularization
    clear = fit(TEXTS, LABELS, Hyperparameters(loss=loss, max_features=200)).regularization
    assert chosen > clear


def test_more_regularization_gives_smaller_weights_whatever_the_loss() -> None:
    for loss in LOSSES:
        sizes = [
            sum(float((part.astype(float) ** 2).sum()) for part in trained(loss=loss, regularization=strength).weights)
            for strength in (1, 10, 100)
        ]
        assert sizes[0] > sizes[1] > sizes[2], loss


def test_the_numbers_of_a_text_decide_where_its_ngrams_cannot() -> None:
    loud, quiet = ["a" * size + "!!!!" for size in range(1, 20)], ["a" * size + "." for size in range(1, 20)]
    labels = ["loud"] * len(loud) + ["quiet"] * len(quiet)
    choices = {"ngram_max": 1, "word_ngram_max": 0, "max_features": 1}
    new = ["bbbb！！！！", "bbbb。"]
    assert set(fit(loud + quiet, labels, Hyperparameters(**choices)).predict(new)) != {"loud", "quiet"}  # type: ignore[arg-type]
    with_numbers = fit(loud + quiet, labels, Hyperparameters(**choices, text_features=True))  # type: ignore[arg-type]
    assert with_numbers.predict(new) == ["loud", "quiet"]
    columns, values = with_numbers.kinds[-1].row("!" * 10_000)
    assert len(columns) == len(text_features(""))
    assert float(values @ values) <= 9 + 1e-5


def test_there_are_no_word_ngrams_when_none_are_wanted() -> None:
    assert len(trained(word_ngram_max=0).kinds) == 1
    (characters,) = trained(word_ngram_max=0, max_features=30, ngram_min=2, ngram_max=2).kinds
    assert isinstance(characters, Ngrams)
    assert len(characters.columns) == 30
    assert {len(ngram) for ngram in characters.columns} == {2}


def test_ngrams_of_one_text_only_are_left_out_from_a_thousand_texts_on() -> None:
    texts = [f"good {number}" if number % 2 else f"bad {number}" for number in range(1000)]
    (characters,) = fit(texts, [text.split()[0] for text in texts], Hyperparameters(word_ngram_max=0)).kinds
    (few,) = fit(texts[:999], [text.split()[0] for text in texts[:999]], Hyperparameters(word_ngram_max=0)).kinds
    assert isinstance(characters, Ngrams)
    assert isinstance(few, Ngrams)
    assert " 998" not in characters.columns
    assert " 998" in few.columns


@pytest.mark.parametrize("loss", LOSSES)
def test_a_label_with_a_single_text_is_learned(loss: str) -> None:
    classifier = fit([*TEXTS, "unsubscribe me"], [*LABELS, "leave"], Hyperparameters(loss=loss))
    assert classifier.predict(["unsubscribe me", *TEXTS]) == ["leave", *LABELS]


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_that_all_have_a_single_text_are_learned(loss: str) -> None:
    classifier = fit(["free money", "很好", "agenda"], ["spam", "good", "work"], Hyperparameters(loss=loss))
    assert classifier.predict(["free money", "很好", "agenda"]) == ["spam", "good", "work"]
    assert classifier.predict_proba(["free money", "?"]).max() < 0.9


@pytest.mark.parametrize("texts", [2, 10, 50])
def test_few_texts_that_are_all_told_apart_are_worth_what_laplace_says(texts: int) -> None:
    """After n right answers the next one is right with (n + 1) / (n + 2)."""
    labels = np.arange(texts) % 2
    scores = np.where(np.eye(2)[labels] > 0, 1.0, -1.0)
    _, sharpness = best_sharpness(scores, labels)
    assert softmax(sharpness * scores).max(axis=1) == pytest.approx((texts + 1) / (texts + 2), abs=0.001)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("each", [2, 4])
def test_a_model_of_few_texts_is_not_sure(loss: str, each: int) -> None:
    rows = [row for number, row in enumerate(EXAMPLES) if number % 8 < each]
    texts, labels = (list(part) for part in zip(*rows, strict=True))
    likely = fit(texts, labels, Hyperparameters(loss=loss)).predict_proba(texts).max(axis=1)
    assert np.all((likely > 0.5) & (likely < 0.99))


def test_the_sharpness_makes_scores_as_probable_as_they_are_right() -> None:
    random = np.random.default_rng(0)
    sharpness = 2.5
    scores = random.normal(size=(20_000, 3))
    labels = np.array([random.choice(3, p=row) for row in softmax(sharpness * scores)])
    assert best_sharpness(scores, labels)[1] == pytest.approx(sharpness, rel=0.05)


def test_the_sharpness_of_scores_that_say_nothing_is_least() -> None:
    labels = np.arange(300) % 3
    loss, sharpness = best_sharpness(np.tile([1.0, 0.0, -1.0], (300, 1)), labels)
    assert sharpness < 0.02
    assert loss == pytest.approx(np.log(3), rel=0.01)
