"""Named records of each account and region, and their ARNs."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

from sm_local.patches import core
from sm_local.sagemaker.errors import invalid, not_found

Parameters = dict[str, Any]
Record = TypeVar("Record")


def arn(kind: str, name: str) -> str:
    """Return the ARN of a name in the account and region of the request under way; its letters are lower case."""
    account, region = core.scope()
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


class Registry(Generic[Record]):
    """Records by name, in the account and region of the request under way.

    Args:
        kind: As ARNs have it, such as ``endpoint-config``.
        words: As error messages have it, such as ``endpoint configuration``.
    """

    def __init__(self, kind: str, words: str) -> None:
        self._kind = kind
        self._words = words
        self._records: dict[tuple[str, str, str], Record] = {}
        self._lock = threading.Lock()

    def arn(self, name: str) -> str:
        """Return the ARN of a record."""
        return arn(self._kind, name)

    def add(self, name: str, record: Record) -> None:
        """Keep a record under a name.

        Raises:
            SageMakerError: The name is taken.
        """
        with self._lock:
            if _key(name) in self._records:
                raise invalid(f'Cannot create already existing {self._words} "{self.arn(name)}".')
            self._records[_key(name)] = record

    def find(self, name: str) -> Record | None:
        """Return the record of a name, if there is one."""
        with self._lock:
            return self._records.get(_key(name))

    def get(self, name: str) -> Record:
        """Return the record of a name.

        Raises:
            SageMakerError: There is none.
        """
        if (record := self.find(name)) is None:
            raise not_found(self._words, self.arn(name))
        return record

    def remove(self, name: str) -> Record:
        """Forget a record and return it.

        Raises:
            SageMakerError: There is none.
        """
        record = self.get(name)
        with self._lock:
            self._records.pop(_key(name), None)
        return record

    def items(self) -> list[tuple[str, Record]]:
        """Return names and records, the oldest first."""
        scope = core.scope()
        with self._lock:
            return [(name, record) for (*where, name), record in self._records.items() if tuple(where) == scope]

    def clear(self) -> list[Record]:
        """Forget all records, of all accounts, and return them."""
        with self._lock:
            records = list(self._records.values())
            self._records.clear()
        return records


def _key(name: str) -> tuple[str, str, str]:
    return (*core.scope(), name)
