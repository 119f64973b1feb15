"""The generated table of container images, against the data it comes from and what AWS's own library makes of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sagemaker.core import image_uris  # type: ignore[import-untyped]
from sagemaker.core.fw_utils import GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY  # type: ignore[import-untyped]

from sm_constructs import Framework
from sm_constructs.model.image_table import TableEntry, image_table
from sm_constructs.model.images import AwsImage
from sm_constructs.model.processors import processor_of
from tools.generate_image_table import TARGET, render, source_directory
from tools.generate_image_table import image_table as generated_table

FILES = {"scikit-learn": "sklearn", "pytorch": "pytorch", "tensorflow": "tensorflow", "hugging-face": "huggingface"}
TRAINING = {"pytorch-training": "pytorch"}
INSTANCE_TYPES = {"cpu": "ml.m5.large", "gpu": "ml.g4dn.xlarge", "graviton": "ml.m6g.large"}
ENTRIES = [(framework, entry) for framework, entries in image_table().items() for entry in entries]


def scope_of(framework: str) -> str:
    return "training" if framework in TRAINING else "inference"


def retrieve(framework: str, entry: TableEntry, region: str) -> str:
    uri: str = image_uris.retrieve(
        (FILES | TRAINING)[framework],
        region,
        version=entry.version,
        py_version=entry.python,
        instance_type=INSTANCE_TYPES[entry.processor],
        image_scope=scope_of(framework),
        base_framework_version=entry.base,
    )
    return uri


def test_the_committed_table_is_what_the_script_writes() -> None:
    assert TARGET.read_text() == render(generated_table(source_directory()))


def uri(entry: TableEntry, region: str, suffix: str = "amazonaws.com") -> str:
    return f"{entry.accounts[region]}.dkr.ecr.{region}.{suffix}/{entry.repository}:{entry.tag}"


def test_every_image_is_the_one_that_sagemaker_core_names(monkeypatch: pytest.MonkeyPatch) -> None:
    # It reads these two again for each image, which takes most of its time.
    for module, function in ((image_uris, "config_for_framework"), (image_uris.utils, "_botocore_resolver")):
        monkeypatch.setattr(module, function, cache(getattr(module, function)))

    assert [uri(entry, "us-east-1") for _, entry in ENTRIES] == [
        retrieve(framework, entry, "us-east-1") for framework, entry in ENTRIES
    ]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("eu-central-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com")],
)
def test_images_are_named_alike_in_every_partition(region: str, suffix: str) -> None:
    for framework, entries in image_table().items():
        assert uri(entries[-1], region, suffix) == retrieve(framework, entries[-1], region)


def regions_of(configuration: dict[str, Any], framework: str, entry: TableEntry) -> dict[str, str]:
    scope = configuration["inference_graviton" if entry.processor == "graviton" else scope_of(framework)]
    version = scope["versions"][entry.version]
    found: dict[str, str] = (version[entry.base] if entry.base else version)["registries"]
    return found


@pytest.mark.parametrize("framework", FILES | TRAINING)
def test_every_image_is_in_the_regions_and_accounts_that_sagemaker_core_lists(framework: str) -> None:
    configuration = json.loads((source_directory() / f"{(FILES | TRAINING)[framework]}.json").read_text())

    for entry in image_table()[framework]:
        assert entry.accounts == regions_of(configuration, framework, entry)


@pytest.mark.parametrize("framework", FILES | TRAINING)
def test_every_version_with_this_layout_of_archives_is_there(framework: str) -> None:
    versions = image_uris.list_versions((FILES | TRAINING)[framework], image_scope=scope_of(framework))
    ours = {entry.version for entry in image_table()[framework]}
    old_pytorch = ("0.", "1.0", "1.1.")
    old_tensorflow = tuple(f"1.{minor}." for minor in range(4, 13))
    older = {"pytorch": old_pytorch, "pytorch-training": old_pytorch, "tensorflow": old_tensorflow}

    full = {version for version in versions if version.count(".") == 2 or "-" in version or version == "0.20.0"}
    assert {version for version in full - ours if not version.startswith(older.get(framework, ()))} == set()


@pytest.mark.parametrize(
    ("image", "framework"),
    [
        (Framework.scikit_learn().image, "scikit-learn"),
        (Framework.pytorch().image, "pytorch"),
        (Framework.tensorflow().image, "tensorflow"),
        (Framework.hugging_face().image, "hugging-face"),
        (Framework.pytorch_training().image, "pytorch-training"),
    ],
    ids=FILES | TRAINING,
)
def test_the_default_is_the_newest_version(image: AwsImage, framework: str) -> None:
    newest = [entry.version for entry in image_table()[framework] if entry.processor == "cpu"][-1]

    assert (image.framework, image.version) == (framework, newest)


def test_instance_types_have_the_processor_that_sagemaker_core_says() -> None:
    for family in GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY:
        assert processor_of(f"ml.{family}.large") == "graviton"
    for name in ("ml.m5.large", "ml.c5.large", "ml.t2.medium", "ml.p3.2xlarge", "ml.g5.xlarge", "ml.r5d.large"):
        assert processor_of(name) == image_uris._processor(name, ["cpu", "gpu"])
    assert processor_of("ml.inf2.xlarge") is None
    assert processor_of("m5.large") is None


def test_the_table_is_small() -> None:
    assert Path(TARGET).stat().st_size < 50_000
