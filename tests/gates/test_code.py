"""The public names of the packages: in order, importable, and explained."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

import sm_client
import sm_constructs
from sm_constructs import endpoint, model, monitoring

PACKAGES = [sm_constructs, endpoint, model, monitoring, sm_client]
NAMES = [
    pytest.param(package, name, id=f"{package.__name__}.{name}") for package in PACKAGES for name in package.__all__
]


def unexplained(cls: type) -> Iterator[str]:
    """Yield the public members of a class that have no docstring, inherited ones left out."""
    for name, member in vars(cls).items():
        explained = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(explained) and not inspect.getdoc(explained):
            yield name


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_stand_in_order_constants_first(package: ModuleType) -> None:
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name))


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_is_there_and_explained(package: ModuleType, name: str) -> None:
    found = getattr(package, name)
    cls = found if inspect.isclass(found) else type(found)  # a value is explained by its class
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}("), "this is what dataclass() writes by itself"
    assert list(unexplained(cls)) == []
