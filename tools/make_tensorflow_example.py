"""Make the documentation's TensorFlow model: it counts keywords, as a SavedModel that takes strings.

Run it where tensorflow is installed (2.21 was): ``python -m tools.make_tensorflow_example``
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

TARGET = Path(__file__).parent.parent / "docs" / "examples" / "tensorflow"
KEYWORDS = Path(__file__).parent.parent / "docs" / "examples" / "model" / "keywords.json"


class KeywordModel(tf.Module):  # type: ignore[misc]  # tensorflow is not there where types are checked
    """From texts to a score for each label, of which a text's sum to 1.

    Args:
        keywords: Label → its words.
    """

    def __init__(self, keywords: dict[str, Sequence[str]]) -> None:
        super().__init__()
        words = [word for known in keywords.values() for word in known]
        numbers = tf.lookup.KeyValueTensorInitializer(words, tf.range(1, len(words) + 1, dtype=tf.int64))
        self.numbers = tf.lookup.StaticHashTable(numbers, default_value=0)
        rows = [[float(word in known) for known in keywords.values()] for word in words]
        self.counts = tf.constant([[0.0] * len(keywords), *rows])
        self.__call__ = tf.function(self._classify, input_signature=[tf.TensorSpec([None], tf.string, name="texts")])

    def _classify(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        words = tf.strings.split(tf.strings.lower(texts))
        numbers = tf.ragged.map_flat_values(self.numbers.lookup, words)
        found = 1 + tf.reduce_sum(tf.ragged.map_flat_values(tf.gather, self.counts, numbers), axis=1)
        return {"scores": found / tf.reduce_sum(found, axis=1, keepdims=True)}


def make(directory: Path) -> None:
    """Write ``1/`` and ``code/metadata.json``, and see that what was written classifies.

    Args:
        directory: Made when it is not there; an older ``1/`` in it is replaced.
    """
    keywords: dict[str, Sequence[str]] = json.loads(KEYWORDS.read_text(encoding="utf-8"))
    shutil.rmtree(directory / "1", ignore_errors=True)
    model = KeywordModel(keywords)
    tf.saved_model.save(model, str(directory / "1"), signatures=model.__call__)
    version = hashlib.sha256(Path(__file__).read_bytes() + KEYWORDS.read_bytes()).hexdigest()[:12]
    metadata = json.dumps({"model_version": version, "labels": list(keywords)}, indent=2)
    (directory / "code" / "metadata.json").write_text(f"{metadata}\n", encoding="utf-8")

    loaded = tf.saved_model.load(str(directory / "1")).signatures["serving_default"]
    scores = loaded(tf.constant(["click for a free prize", "thanks for the patch", ""]))["scores"].numpy()
    if [list(row).index(max(row)) for row in scores.tolist()[:2]] != [0, 1] or scores[2][0] != 0.5:
        raise RuntimeError(f"the model that was written classifies wrongly: {scores}")


if __name__ == "__main__":
    make(TARGET)
