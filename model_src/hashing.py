"""The features of the PyTorch network: hashed n-grams of characters. Travels in the model archive; needs no PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

from features import prepare


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What the network looks like; the defaults are those of ``torch_hyperparameters.json``.

    Args:
        ngram_min: Characters of the shortest n-gram that is a feature.
        ngram_max: Characters of the longest one.
        buckets: How many rows the table of embeddings has, over which n-grams are spread by their hash.
        dimensions: How many numbers an embedding has.
    """

    ngram_min: int = 1
    ngram_max: int = 3
    buckets: int = 65_536
    dimensions: int = 32


def features(texts: Iterable[str], shape: Shape) -> Iterator[list[int]]:
    """Yield the buckets of each text's n-grams, the same in every process.

    >>> list(features(["ab"], Shape(ngram_max=2, buckets=10)))
    [[7, 1, 5]]
    """
    for text in texts:
        prepared = prepare(text)
        yield [
            crc32(prepared[start : start + length].encode("utf-8", "surrogatepass")) % shape.buckets
            for length in range(shape.ngram_min, shape.ngram_max + 1)
            for start in range(len(prepared) - length + 1)
        ]
