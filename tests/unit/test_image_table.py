"""The generated table of container images, against the data it comes from and what AWS's own library makes of it."""

from __future__ import annotations

import json

import pytest
from sagemaker.core import image_uris  # type: ignore[import-untyped]

from sm_constructs import Framework
from sm_constructs.model.images import AwsImage
from tools.generate_image_table import TARGET, image_table, render, source_directory

TABLE = json.loads(TARGET.read_text())["scikit-learn"]


def test_the_committed_table_is_what_the_script_writes() -> None:
    assert TARGET.read_text() == render(image_table(source_directory()))


@pytest.mark.parametrize("version", TABLE)
@pytest.mark.parametrize(
    ("region", "suffix"),
    [("us-east-1", "amazonaws.com"), ("eu-central-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")],
)
def test_the_table_names_the_image_that_sagemaker_core_names(version: str, region: str, suffix: str) -> None:
    entry = TABLE[version]
    named = image_uris.retrieve(
        "sklearn", region, version=version, py_version="py3", instance_type="ml.m5.large", image_scope="inference"
    )

    assert f"{entry['accounts'][region]}.dkr.ecr.{region}.{suffix}/{entry['repository']}:{entry['tag']}" == named


def test_the_default_is_the_newest_version() -> None:
    assert Framework.scikit_learn().image == AwsImage(framework="scikit-learn", version=list(TABLE)[-1])
