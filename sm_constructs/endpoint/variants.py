"""The ways a model can be served: production variants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from aws_cdk import Token

from sm_constructs._validation import Problems

NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
"""What SageMaker takes as the name of an endpoint or a variant."""

MEMORY_SIZES_MB = (1024, 2048, 3072, 4096, 5120, 6144)

_INSTANCE_TYPE = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.[a-z0-9-]+")
_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g[5-9]e?|p[5-9].*|dl1|trn\d.*")
"""Instance families with NVMe storage: a ``d`` after the generation, and the larger accelerators."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RealTime:
    """A variant on instances that run all the time.

    Args:
        instance_type: What it runs on, such as ``"ml.m5.large"`` or ``"ml.c6i.xlarge"``.
        instance_count: How many instances; SageMaker spreads two or more over availability zones.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.
        initial_weight: The variant's share of the calls, relative to the other variants' weights. When
            omitted: 1.

    >>> RealTime(instance_type="m5.large", instance_count=0).problems()
    ["instance_type is 'm5.large': must be one of SageMaker's, such as ml.t2.medium, ml.m5.large or ml.c6i.xlarge", \
'instance_count is 0: must be at least 1']
    """

    instance_type: str
    instance_count: int
    variant_name: str = "AllTraffic"
    initial_weight: float = 1.0

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.unless(
            Token.is_unresolved(self.instance_type) or bool(_INSTANCE_TYPE.fullmatch(self.instance_type)),
            f"instance_type is '{self.instance_type}': must be one of SageMaker's, such as ml.t2.medium, "
            "ml.m5.large or ml.c6i.xlarge",
        )
        problems.at_least("instance_count", self.instance_count, 1)
        problems.at_least("initial_weight", self.initial_weight, 0)
        problems.extend(name_problems("variant_name", self.variant_name))
        return list(problems)

    @property
    def has_local_storage(self) -> bool:
        """Whether the instances have NVMe storage, which encrypts itself and refuses a volume key."""
        match = _INSTANCE_TYPE.fullmatch(self.instance_type)
        return bool(match and _LOCAL_STORAGE.fullmatch(match["family"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Serverless:
    """A variant that costs nothing while nobody calls it, and takes longer for the first call.

    Args:
        memory_size_mb: Memory in MB: 1024, 2048, 3072, 4096, 5120 or 6144. When omitted: 2048.
        max_concurrency: How many calls it answers at the same time, 1 to 200. When omitted: 5.
        provisioned_concurrency: How many of them are kept warm, which costs by the hour. When omitted: none.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.

    >>> Serverless(memory_size_mb=1000, max_concurrency=5, provisioned_concurrency=6).problems()
    ['memory_size_mb is 1000: must be one of 1024, 2048, 3072, 4096, 5120, 6144', \
'provisioned_concurrency is 6: must be from 1 to max_concurrency, 5']
    """

    memory_size_mb: int = 2048
    max_concurrency: int = 5
    provisioned_concurrency: int | None = None
    variant_name: str = "AllTraffic"

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.one_of("memory_size_mb", self.memory_size_mb, MEMORY_SIZES_MB)
        problems.between("max_concurrency", self.max_concurrency, 1, 200)
        problems.extend(self._provisioned_problems())
        problems.extend(name_problems("variant_name", self.variant_name))
        return list(problems)

    def _provisioned_problems(self) -> Iterator[str]:
        provisioned, highest = self.provisioned_concurrency, self.max_concurrency
        if provisioned is None or Token.is_unresolved(provisioned) or Token.is_unresolved(highest):
            return
        if not 1 <= provisioned <= highest:
            yield f"provisioned_concurrency is {provisioned}: must be from 1 to max_concurrency, {highest}"


Variant: TypeAlias = RealTime | Serverless


def name_problems(argument: str, name: str | None) -> Iterator[str]:
    """Yield what SageMaker would say of the name of an endpoint or a variant."""
    if name is None or Token.is_unresolved(name) or re.fullmatch(NAME_PATTERN, name):
        return
    yield (
        f"{argument} is '{name}': must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen"
    )
