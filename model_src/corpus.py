"""The training texts of all hosts as one: which there are, in an order that no shard decides, and who has which."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from channels import DataError, Example
from hosts import Array, Group
from model_versions import example_digest
from vocabulary import pack, unpack


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """What a host has of the training texts, and what it knows of all of them.

    Args:
        examples: Those of this host.
        places: Their places among those of all hosts, in ascending order.
        labels: Of all hosts, in alphabetical order.
        y: The label of each text of all hosts.
        keys: What stands for each text of all hosts, in ascending order.
        digests: What stands for each text and its label; on other hosts than the first, none.
    """

    examples: Sequence[Example]
    places: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    y: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    digests: Sequence[bytes]

    def has(self, text: str) -> bool:
        """Return whether ``text`` is one of those of all hosts."""
        place = int(np.searchsorted(self.keys, _key(text)))
        return place < len(self.keys) and bool(self.keys[place] == _key(text))


def pool(examples: Sequence[Example], group: Group) -> Corpus:
    """Let all hosts know of each other's texts, without sending them: 40 bytes and a label for each.

    Texts are put in the order of their hashes, so neither shards nor their order change what is trained. A text that
    several hosts have is the first host's alone.

    Raises:
        DataError: There are fewer than two labels.
    """
    names = sorted({example.label for example in examples})
    number = {name: place for place, name in enumerate(names)}
    own = {int(_key(example.text)): example for example in examples}
    digests = np.frombuffer(b"".join(map(example_digest, own.values())), np.uint8).reshape(-1, 32)
    y = np.array([number[example.label] for example in own.values()], np.int32)
    hosts = group.gather([np.array(list(own), np.uint64), y, digests, *pack(names)])
    kept: list[bytes] = []
    together: list[Array] = []
    if hosts:
        *together, digests = _together(hosts)
        kept = [row.tobytes() for row in digests]
    keys, all_y, owners, *packed = group.broadcast(together)
    labels = tuple(unpack(packed))
    if len(labels) < 2:
        found = f"all texts are labelled {labels[0]!r}" if labels else "there are no texts"
        raise DataError(f"{found}: at least two labels are needed")
    places = np.flatnonzero(owners == group.rank)
    return Corpus(
        examples=[own[key] for key in keys[places].tolist()],
        places=places,
        labels=labels,
        y=all_y.astype(np.int64),
        keys=keys,
        digests=kept,
    )


def _together(hosts: Sequence[Sequence[Array]]) -> list[Array]:
    """Return keys, labels, owners, the names of the labels, and digests, of all hosts."""
    named = [unpack(host[3:]) for host in hosts]
    names = sorted({name for host in named for name in host})
    number = {name: place for place, name in enumerate(names)}
    keys, first = np.unique(np.concatenate([host[0] for host in hosts]), return_index=True)
    y = np.concatenate(
        [
            np.array([number[name] for name in host_names], np.int32)[host[1]]
            for host, host_names in zip(hosts, named, strict=True)
        ]
    )
    owners = np.repeat(np.arange(len(hosts), dtype=np.int32), [len(host[0]) for host in hosts])
    digests = np.concatenate([host[2] for host in hosts])
    return [keys, y[first], owners[first], *pack(names), digests[first]]


def _key(text: str) -> np.uint64:
    """Return 64 bits that stand for a text: among a million texts, two have the same once in 40 million times."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.uint64(int.from_bytes(digest[:8], "big"))
