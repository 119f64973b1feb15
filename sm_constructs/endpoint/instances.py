"""What SageMaker's instance types can and cannot do, by their names."""

from __future__ import annotations

import re

from aws_cdk import Token

_INSTANCE_TYPE = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.[a-z0-9-]+")
_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g[5-9]e?|p[5-9].*|dl1|trn\d.*")
"""Instance families with NVMe storage: a ``d`` after the generation, and the larger accelerators."""
_BURSTABLE = re.compile(r"t\d[a-z]*")


def is_instance_type(name: str) -> bool:
    """Tell whether a name has the form of SageMaker's; one that is known at deployment only may have.

    >>> is_instance_type("ml.m5.large"), is_instance_type("m5.large")
    (True, False)
    """
    return Token.is_unresolved(name) or bool(_INSTANCE_TYPE.fullmatch(name))


def has_local_storage(instance_type: str) -> bool:
    """Tell whether the instances have NVMe storage: it encrypts itself, and its size is the type's.

    >>> has_local_storage("ml.g5.xlarge"), has_local_storage("ml.m5.large")
    (True, False)
    """
    return bool(_LOCAL_STORAGE.fullmatch(_family(instance_type)))


def is_burstable(instance_type: str) -> bool:
    """Tell whether the instances save up processor time, which SageMaker does not scale automatically.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-add-console.html
    """
    return bool(_BURSTABLE.fullmatch(_family(instance_type)))


def is_inf1(instance_type: str) -> bool:
    """Tell whether the instances have the first generation of Inferentia, which much of hosting leaves out."""
    return _family(instance_type) == "inf1"


def _family(instance_type: str) -> str:
    match = _INSTANCE_TYPE.fullmatch(instance_type)
    return match["family"] if match else ""
