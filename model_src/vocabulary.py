"""Tf-idf over the texts of all hosts: each counts its own n-grams, and the counts are added up.

The features are exactly those of one host with all texts, as nothing but sums enters them: in how many texts an n-gram
occurs, and how often.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from classifier import Ngrams
from hosts import Array, Group
from scipy import sparse
from sklearn.preprocessing import normalize


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How often each n-gram occurs in this host's texts.

    Args:
        columns: Of each n-gram.
        matrix: A row a text.
    """

    columns: dict[str, int]
    matrix: sparse.csr_matrix


def learn(
    of: Callable[[str], list[str]], texts: Iterable[str], *, min_texts: int, max_features: int, group: Group
) -> tuple[Ngrams, sparse.csr_matrix]:
    """Return the n-grams that are features, and the features of this host's texts.

    Args:
        of: Returns a text's n-grams.
        texts: Those of this host.
        min_texts: In how many texts of all hosts an n-gram must occur.
        max_features: How many n-grams are features at most: the most frequent ones, of equally frequent ones the
            first in alphabetical order.
        group: The hosts that learn together.
    """
    counts = _count(of, texts)
    ngrams, idf = _choose(counts, min_texts, max_features, group)
    matrix = _tf_idf(counts, ngrams, idf)
    return Ngrams(of=of, columns={ngram: column for column, ngram in enumerate(ngrams)}, idf=idf), matrix


def pack(strings: Sequence[str]) -> list[Array]:
    """Return arrays that hold ``strings``.

    >>> unpack(pack(["好", "", "ab"]))
    ['好', '', 'ab']
    """
    lengths = np.fromiter(map(len, strings), np.int32, len(strings))
    return [lengths, np.frombuffer("".join(strings).encode("utf-8", "surrogatepass"), np.uint8)]


def unpack(arrays: Sequence[Array]) -> list[str]:
    """Return the strings that :func:`pack` was given."""
    lengths, content = arrays
    text = content.tobytes().decode("utf-8", "surrogatepass")
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _count(of: Callable[[str], list[str]], texts: Iterable[str]) -> Counts:
    columns: defaultdict[str, int] = defaultdict()
    columns.default_factory = columns.__len__
    indices, values, ends = array("i"), array("f"), array("q", [0])
    for text in texts:
        counted = Counter(map(columns.__getitem__, of(text)))
        indices.extend(counted)
        values.extend(counted.values())
        ends.append(len(indices))
    parts = (np.frombuffer(part, dtype) for part, dtype in ((values, "f4"), (indices, "i4"), (ends, "i8")))
    return Counts(columns=dict(columns), matrix=sparse.csr_matrix(tuple(parts), (len(ends) - 1, len(columns))))


def _choose(
    counts: Counts, min_texts: int, max_features: int, group: Group
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return the n-grams that are features in alphabetical order, and their inverse document frequency."""
    matrix = counts.matrix
    own: list[Array] = [
        np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int32),
        np.bincount(matrix.indices, matrix.data, minlength=matrix.shape[1]).astype(np.int64),
        np.array([matrix.shape[0]]),
    ]
    hosts = group.gather([*own, *pack(list(counts.columns))] if group.size > 1 else own)
    chosen: list[Array] = []
    if hosts:
        ngrams, texts, times = _merge(hosts) if group.size > 1 else (list(counts.columns), own[0], own[1])
        frequent = np.flatnonzero(texts >= min_texts)
        order = np.array(sorted(frequent.tolist(), key=ngrams.__getitem__), np.int64)
        order = order[np.sort(np.argsort(-times[order], kind="stable")[:max_features])]
        total = np.float32(sum(int(host[2][0]) for host in hosts))
        idf = np.log((total + 1) / (texts[order].astype(np.float32) + 1)) + 1
        chosen = [*pack([ngrams[place] for place in order.tolist()]), idf.astype(np.float32)]
    *packed, idf = group.broadcast(chosen)
    return unpack(packed), idf


def _merge(hosts: Sequence[Sequence[Array]]) -> tuple[list[str], Array, Array]:
    """Return all n-grams of all hosts, in how many texts each occurs, and how often."""
    columns: dict[str, int] = {}
    places = [
        np.array([columns.setdefault(ngram, len(columns)) for ngram in unpack(host[3:])], np.int64) for host in hosts
    ]
    texts, times = (np.zeros(len(columns), np.int64) for _ in range(2))
    for place, (host_texts, host_times, *_) in zip(places, hosts, strict=True):
        texts[place] += host_texts
        times[place] += host_times
    return list(columns), texts, times


def _tf_idf(counts: Counts, ngrams: Sequence[str], idf: npt.NDArray[np.float32]) -> sparse.csr_matrix:
    """Return the features: of each row the logarithmic counts times ``idf``, made to have length 1."""
    matrix = counts.matrix
    here = np.array([counts.columns.get(ngram, -1) for ngram in ngrams], np.int64)
    new = np.full(matrix.shape[1], -1, np.int32)
    new[here[here >= 0]] = np.flatnonzero(here >= 0)
    indices = new[matrix.indices]
    kept = indices >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    indices = indices[kept]
    values = (np.log(matrix.data[kept]) + 1) * idf[indices]
    features = sparse.csr_matrix((values, indices, ends), (matrix.shape[0], len(ngrams)))
    features.sort_indices()
    return normalize(features, copy=False)
