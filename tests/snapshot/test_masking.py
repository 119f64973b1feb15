"""What a kept template shows, and what it leaves out."""

from __future__ import annotations

import json

import pytest

from tests.snapshot.extension import TemplateExtension
from tests.snapshot.masking import masked

BUCKET, ROLE = "StoreBucket1A2B3C4D", "StoreRole5E6F7A8B"


def test_hashes_are_left_out_wherever_an_id_is_named() -> None:
    deployment = "ApiDeployment0A1B2C3D00112233445566778899aabbccddeeff"
    template = {
        "Resources": {
            BUCKET: {"DependsOn": [ROLE], "Properties": {"Key": f"{'0a' * 32}.zip", "Name": "Stack-Api-0A1B2C3D"}},
            ROLE: {"Properties": {"Arn": {"Fn::GetAtt": [BUCKET, "Arn"]}}},
            deployment: {},
        }
    }

    assert masked(template) == {
        "Resources": {
            "StoreBucket": {"DependsOn": ["StoreRole"], "Properties": {"Key": "<asset>.zip", "Name": "Stack-Api"}},
            "StoreRole": {"Properties": {"Arn": {"Fn::GetAtt": ["StoreBucket", "Arn"]}}},
            "ApiDeployment": {},
        }
    }


def test_values_that_are_no_hashes_stay() -> None:
    template = {"Resources": {"R": {"Account": "111122223333", "Words": "DEADLINE", "Days": 20240601}}}

    assert masked(template) == template


def test_two_ids_that_would_become_one_are_refused() -> None:
    with pytest.raises(ValueError, match="the same without their hashes: Bucket"):
        masked({"Resources": {"Bucket00000001": {}, "Bucket00000002": {}}})


def test_what_is_joined_is_one_string() -> None:
    joined = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Fn::GetAtt": [BUCKET, "Name"]}, "/*"]]}

    assert masked({"Resources": {"R": joined}}) == {
        "Resources": {"R": {"Fn::Sub": "arn:${AWS::Partition}:s3:::${StoreBucket.Name}/*"}}
    }


def test_the_files_text_is_the_same_json_in_lines_that_fit() -> None:
    data = {"b": [{"name": "x" * 30, "number": number} for number in range(9)], "a": {"c": [], "d": "字" * 200}}

    text = TemplateExtension().serialize(data)

    assert json.loads(text) == data
    assert text.index('"a"') < text.index('"b"')
    assert [line for line in text.splitlines() if len(line) > 121] == [f'  "d": "{"字" * 200}"']
