"""What the functions' code calls is what ``docs/vpc.md`` says that they must reach."""

from __future__ import annotations

import re

from tests.readme import ROOT

_ENDPOINTS = {"sagemaker": "sagemaker.api", "sagemaker-runtime": "sagemaker.runtime", "stepfunctions": "states"}
_IN_NO_VPC = {"close_security_group.py", "migrate.py"}  # ResultDatabase's


def test_each_service_that_functions_call_has_its_vpc_endpoint_in_the_docs() -> None:
    sources = [file for file in (ROOT / "lambda_src").rglob("*.py") if file.name not in _IN_NO_VPC]
    called = {name for file in sources for name in re.findall(r'boto3\.client\(\s*"([a-z-]+)"', file.read_text())}
    listed = re.findall(r"^\| `([a-z.-]+)` \|", (ROOT / "docs/vpc.md").read_text(), flags=re.MULTILINE)

    assert sorted(listed) == sorted(_ENDPOINTS.get(name, name) for name in called)
