"""Limits on the members of a request, as SageMaker describes itself."""

from __future__ import annotations

from typing import Any

import pytest

from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.validation import check, typed

GOOD: dict[str, Any] = {"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": 1}


def config(**variant: Any) -> dict[str, Any]:
    return {"EndpointConfigName": "c", "ProductionVariants": [{**GOOD, **variant}]}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            config(InitialInstanceCount=0),
            "1 validation error detected: Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to "
            "satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (config(VolumeSizeInGB=513), "less than or equal to 512"),
        (config(VariantName="-"), "Member must satisfy regular expression pattern"),
        (config(VariantName="x" * 64), "Member must have length less than or equal to 63"),
        (config(VariantName=None), "at 'productionVariants.1.member.variantName' .* must not be null"),
        (config(RoutingConfig={"RoutingStrategy": "BEST"}), r"enum value set: \[LEAST_OUTSTANDING_REQUESTS, RANDOM"),
        (config(VariantName=7), "Member must be a string"),
        (config(InitialInstanceCount="many"), "Member must be a number"),
        (config(RoutingConfig="RANDOM"), "Member must be a structure"),
        ({"EndpointConfigName": "c", "ProductionVariants": []}, "length greater than or equal to 1"),
        ({"EndpointConfigName": "c", "ProductionVariants": GOOD}, "Member must be a list"),
        (config(VolumeSizeInGB=0, InitialInstanceCount=0), "^2 validation errors detected: .*; "),
    ],
)
def test_a_member_outside_its_limits_is_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        check("CreateEndpointConfig", parameters)


def test_what_is_within_the_limits_passes() -> None:
    check("CreateEndpointConfig", config(InitialVariantWeight=0.5, VolumeSizeInGB=512))
    check("NoSuchOperation", {"Anything": 1})


def test_a_templates_texts_become_what_the_api_wants() -> None:
    properties = {
        "ProductionVariants": [{"InitialVariantWeight": "0.5", "EnableSSMAccess": "true", "VariantName": "7"}],
        "NotAMember": "1",
    }
    assert typed("CreateEndpointConfig", properties) == {
        "ProductionVariants": [{"InitialVariantWeight": 0.5, "EnableSSMAccess": True, "VariantName": "7"}]
    }
    assert typed("CreateEndpointConfig", {"ProductionVariants": [{"InitialInstanceCount": "two"}]}) == {
        "ProductionVariants": [{"InitialInstanceCount": "two"}]
    }
