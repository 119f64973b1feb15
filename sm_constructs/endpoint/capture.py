"""Keeping what callers ask and what the model answers.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Token

from sm_constructs._validation import Problems
from sm_constructs.storage import ArtifactPrefix

_CONTENT_TYPE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*/[a-zA-Z0-9](-*[a-zA-Z0-9.])*")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCapture:
    """Which calls SageMaker writes to S3, as JSON lines under ``<endpoint>/<variant>/<year>/<month>/<day>/<hour>/``.

    Args:
        destination: Where they are written, under the key that the prefix names. The models' roles may write there.
        percentage: How many of 100 calls, 0 to 100. When omitted: all.
        requests: Whether what was asked is written. When omitted: it is.
        responses: Whether what was answered is written. When omitted: it is.
        json_content_types: Content types that are written as text and marked as JSON, at most 10. When omitted: JSON
            and JSON lines. Anything of another type is written in Base64.
        csv_content_types: Content types that are written as text and marked as CSV, at most 10. When omitted: CSV.

    >>> destination = ArtifactPrefix(bucket=bucket, prefix="captured/")
    >>> DataCapture(destination=destination, percentage=101, requests=False, responses=False).problems()
    ['data_capture.percentage is 101: must be from 0 to 100', \
'data_capture has neither requests nor responses: there is nothing to write: leave data_capture out']
    """

    destination: ArtifactPrefix
    percentage: int = 100
    requests: bool = True
    responses: bool = True
    json_content_types: Sequence[str] = ("application/json", "application/jsonlines")
    csv_content_types: Sequence[str] = ("text/csv",)

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.between("data_capture.percentage", self.percentage, 0, 100)
        problems.unless(
            self.requests or self.responses,
            "data_capture has neither requests nor responses: there is nothing to write: leave data_capture out",
        )
        for name, types in (("json", self.json_content_types), ("csv", self.csv_content_types)):
            argument = f"data_capture.{name}_content_types"
            problems.unless(len(types) <= 10, f"{argument} are {len(types)}: SageMaker takes at most 10")
            for one in types:
                problems.unless(
                    Token.is_unresolved(one) or bool(_CONTENT_TYPE.fullmatch(one)),
                    f"{argument} has '{one}': must be like application/json",
                )
        for both in sorted(set(self.json_content_types) & set(self.csv_content_types)):
            problems.add(f"'{both}' is in data_capture's json_content_types and csv_content_types: it can be one only")
        return list(problems)

    @property
    def modes(self) -> list[str]:
        """What SageMaker calls the parts that are written."""
        return [mode for mode, wanted in (("Input", self.requests), ("Output", self.responses)) if wanted]
