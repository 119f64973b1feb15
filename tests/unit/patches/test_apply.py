"""All patches together."""

from importlib.metadata import version
from unittest import mock

import pytest

from sm_local import patches


def test_the_patched_version_is_the_installed_one() -> None:
    assert version("ministack") == patches.MINISTACK_VERSION


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MINISTACK_VERSION", "0.0.1")
    with pytest.raises(RuntimeError, match=r"patches ministack 0\.0\.1, found 1\."):
        patches.apply(mock.Mock(), {}, mock.Mock(), mock.Mock())
