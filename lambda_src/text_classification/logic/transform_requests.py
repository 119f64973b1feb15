"""What a transform is asked for: where its input is, and where its results go."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from text_classification.logic.requests import validated

INPUT_PREFIX = "transform/input/"
OUTPUT_PREFIX = "transform/output/"
WORK_PREFIX = "transform/work/"

JSON_LINES, CSV = ".jsonl", ".csv"
REFUSED = ".refused.jsonl"
"""What the list of an input's refused lines is called: no input."""


def _no_refused_lines(key: str) -> str:
    if key.endswith(REFUSED):
        raise PydanticCustomError("refused_lines", f"names a list of refused lines (*{REFUSED}), which is no input")
    return key


class TransformRequest(BaseModel):
    """The body of ``POST /v1/transforms``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    input: Annotated[
        str,
        Field(
            pattern=r"^transform/input/(.*/)?([^/]+(\.jsonl|\.csv))?$",
            max_length=512,
            description="An object with JSON lines or CSV in the artifacts' bucket, or a prefix of such objects.",
        ),
        AfterValidator(_no_refused_lines),
    ]
    output: Annotated[
        str,
        Field(
            pattern=r"^transform/output/(.*/)?$",
            max_length=512,
            description="The prefix that results go under. When omitted: the same as of the input.",
            json_schema_extra=lambda schema: schema.pop("default", None),
        ),
    ] = ""

    @property
    def directory(self) -> str:
        """What the keys of all its inputs begin with."""
        return self.input[: self.input.rfind("/") + 1]

    def output_of(self, key: str) -> str:
        """Return the key of an input's results.

        >>> request = TransformRequest(input="transform/input/a/")
        >>> request.output_of("transform/input/a/b/c.csv")
        'transform/output/a/b/c.csv'
        >>> request.model_copy(update={"output": "transform/output/x/"}).output_of("transform/input/a/c.csv")
        'transform/output/x/c.csv'
        """
        return self.output_prefix + key.removeprefix(self.directory)

    @property
    def output_prefix(self) -> str:
        """What the keys of all its results begin with."""
        return self.output or OUTPUT_PREFIX + self.directory.removeprefix(INPUT_PREFIX)

    @property
    def document(self) -> dict[str, str]:
        """What an execution is started with."""
        return {"input": self.input, "output": self.output_prefix}


def parse_transform_body(body: bytes) -> TransformRequest:
    """Return the request in a JSON body. Raises InvalidRequestError with all that is wrong."""
    return validated(lambda: TransformRequest.model_validate_json(body), TransformRequest)


def parse_transform(document: object) -> TransformRequest:
    """Return what an execution was started with. Raises InvalidRequestError with all that is wrong."""
    return validated(lambda: TransformRequest.model_validate(document), TransformRequest)


def work_prefix(transform_id: str) -> str:
    """Return where a transform keeps what it needs while it runs.

    >>> work_prefix("t-1")
    'transform/work/46e9bc3476c92ea2/'
    """
    return f"{WORK_PREFIX}{short_id(transform_id)}/"


def short_id(transform_id: str) -> str:
    """Return an id that a job's name has room for: executions that EventBridge starts have names of 73 characters."""
    return hashlib.sha256(transform_id.encode()).hexdigest()[:16]
