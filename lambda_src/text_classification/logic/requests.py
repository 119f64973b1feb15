"""What a caller may send. API Gateway checks the JSON schema made from it; the handler checks all of it.

By pydantic itself, which Powertools' parser calls, too: the parser takes text and not bytes, its decorator raises
before the handler could answer with a problem, and what is wrong is put into words here in either case.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_TEXTS = 100
MAX_CHARACTERS = 10_000
"""The most characters (Unicode code points) of one text."""
MAX_CHARACTERS_TOGETHER = 200_000
MAX_CHARACTERS_TOGETHER_ANNOTATED = 20_000
MAX_STRANGE_SHARE = 0.3
"""The largest part of a text to be annotated that may be control, unassigned or replacement characters."""
MAX_TEXTS_OF_A_LARGE_JOB = 10_000
MAX_CHARACTERS_OF_A_LARGE_JOB = 8_000_000
"""The largest jobs that a consumer of 512 MB finishes in some seconds, answers with a hundred labels each included."""

_MAX_PROBLEMS = 20
_MAX_SHOWN = 40

# By pydantic's name for what is wrong.
_WORDS = {
    "binary": (
        "{field} looks binary: {strange:,} of {characters:,} characters are control, unassigned or replacement "
        "characters: decode it as what it is"
    ),
    "bool_type": "{field} is {came}: must be true or false",
    "dict_type": "{field} is {came}: must be an object",
    "extra_forbidden": "{field} is not known: allowed are {known}",
    "float_type": "{field} is {came}: must be a number",
    "finite_number": "{field} is {came}: must be a number",
    "greater_than_equal": "{field} is {came}: must be at least {ge}",
    "int_from_float": "{field} is {came}: must be a whole number",
    "int_type": "{field} is {came}: must be a whole number",
    "json_invalid": "the body is not JSON: {error}",
    "less_than_equal": "{field} is {came}: must be at most {le}",
    "list_type": "{field} is {came}: must be a list",
    "literal_error": "{field} is {came}: must be {expected}",
    "missing": "{field} is missing",
    "model_type": "{field} is {came}: must be an object",
    "nul_character": "{field} has the character U+0000 at {position}: remove it",
    "string_pattern_mismatch": "{field} is {came}: must match {pattern}",
    "string_too_long": "{field} has {size:,} characters: must have from 1 to {max_length:,}",
    "string_too_short": f"{{field}} has {{size:,}} characters: must have from 1 to {MAX_CHARACTERS:,}",
    "string_type": "{field} is {came}: must be a string",
    "string_unicode": "{field} has half of a surrogate pair: must be Unicode text",
    "too_long": "{field} has {size:,} entries: must have from 1 to {max_length:,}",
    "too_short": f"{{field}} has {{size:,}} entries: must have from 1 to {MAX_TEXTS}",
    "trials": (
        '{field} is {came}: must be a list of objects such as [{{"loss": "hinge"}}], or an object of lists such as '
        '{{"loss": ["log_loss", "hinge"]}}'
    ),
}

_Request = TypeVar("_Request", bound=BaseModel)


class InvalidRequestError(Exception):
    """A request that does not keep to the contract. The message names every problem, for the caller.

    Args:
        problems: One line each: the field, what came, what is allowed. May quote the caller's own values.
        kinds: The same without any of the caller's values, for the log.
    """

    def __init__(self, problems: Sequence[str], *, kinds: Iterable[str]) -> None:
        self.problems = tuple(problems)
        self.kinds = sorted(set(kinds))
        shown = list(problems[:_MAX_PROBLEMS])
        if hidden := len(problems) - len(shown):
            shown.append(f"and {hidden} more")
        super().__init__("; ".join(shown))


class TooLargeError(InvalidRequestError):
    """Texts that are fine one by one and too long together."""


def _without_nul(text: str) -> str:
    # JSON can say it and no text has it; databases and C libraries further on cannot store it.
    if (position := text.find("\0")) != -1:
        raise PydanticCustomError("nul_character", "has a NUL", {"position": position})
    return text


def _no_binary(text: str) -> str:
    strange = sum(count for character, count in Counter(text).items() if _is_strange(character))
    if strange > MAX_STRANGE_SHARE * len(text):
        raise PydanticCustomError("binary", "looks binary", {"strange": strange, "characters": len(text)})
    return text


def _is_strange(character: str) -> bool:
    """Whether a character is of those that decoding something else than text gives."""
    if character == "\ufffd":
        return True
    return unicodedata.category(character) in {"Cc", "Cn", "Co"} and not character.isspace()


Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_without_nul)]
_TEXT = TypeAdapter(Annotated[Text, AfterValidator(_no_binary)], config=ConfigDict(strict=True))


class ClassificationRequest(BaseModel):
    """The body of ``POST /v1/classifications``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS, description="Texts to classify.")]
    language: Annotated[
        Literal["auto", "en", "zh"],
        Field(description="The language of the texts; auto decides for each text by its script."),
    ] = "auto"
    annotations: Annotated[
        bool, Field(description="Whether to return tokens, tags, entities and features of each text.")
    ] = False


class LargeRequest(ClassificationRequest):
    """A line of a file of jobs, where there is an asynchronous endpoint."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS_OF_A_LARGE_JOB)]


class AnnotationRequest(BaseModel):
    """The event of the functions that annotate. Each text is checked by itself, with :func:`text_problem`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    texts: Annotated[list[Any], Field(min_length=1, max_length=MAX_TEXTS)]


class DatasetAnnotationRequest(BaseModel):
    """What annotates a data set is started with."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: Annotated[str, Field(pattern=r"^datasets/.+(/|\.jsonl)$", max_length=512)]
    output: Annotated[str, Field(pattern=r"^datasets/.+/$", max_length=512)]


def parse_classification(body: bytes) -> ClassificationRequest:
    """Return the request in a JSON body, in UTF-8.

    Raises:
        InvalidRequestError: The body is not JSON (saying where) or breaks rules of the contract (naming all).
        TooLargeError: The texts have more characters together than is allowed.
    """
    request = validated(lambda: ClassificationRequest.model_validate_json(body), ClassificationRequest)
    _check_size(
        request.texts,
        MAX_CHARACTERS_TOGETHER_ANNOTATED if request.annotations else MAX_CHARACTERS_TOGETHER,
        " with annotations" if request.annotations else "",
    )
    return request


def parse_large_job(body: bytes) -> ClassificationRequest:
    """Return the request in a line of a file; it may be larger than those that are answered at once.

    Raises:
        InvalidRequestError, TooLargeError: As for :func:`parse_classification`.
    """
    request = validated(lambda: LargeRequest.model_validate_json(body), LargeRequest)
    if request.annotations:
        if (entries := len(request.texts)) > MAX_TEXTS:
            raise InvalidRequestError(
                [f"texts has {entries:,} entries: must have from 1 to {MAX_TEXTS} with annotations"], kinds=["too_long"]
            )
        _check_size(request.texts, MAX_CHARACTERS_TOGETHER_ANNOTATED, " with annotations")
    _check_size(request.texts, MAX_CHARACTERS_OF_A_LARGE_JOB)
    return request


def parse_annotation(event: object) -> AnnotationRequest:
    """Return the request in the event of a direct invocation.

    Raises:
        InvalidRequestError, TooLargeError: As for :func:`parse_classification`, but not for a single text.
    """
    request = validated(lambda: AnnotationRequest.model_validate(event), AnnotationRequest)
    _check_size([text for text in request.texts if text_problem(text) is None], MAX_CHARACTERS_TOGETHER_ANNOTATED)
    return request


def parse_dataset_annotation(event: object) -> DatasetAnnotationRequest:
    """Return what a data set's annotation is started with.

    Raises:
        InvalidRequestError: The event breaks rules (naming all), or the output would become part of the data set.
    """
    request = validated(lambda: DatasetAnnotationRequest.model_validate(event), DatasetAnnotationRequest)
    if request.output.startswith(request.dataset):
        raise InvalidRequestError(
            [f"output is {request.output!r}: must not lie in the data set"], kinds=["output_in_dataset"]
        )
    return request


def text_problem(text: object) -> str | None:
    """Say what is wrong with a text that is to be annotated. None: nothing.

    >>> text_problem("")
    'the text has 0 characters: must have from 1 to 10,000'
    """
    try:
        _TEXT.validate_python(text)
    except ValidationError as error:
        return _describe(error.errors(include_url=False)[0], AnnotationRequest, whole="the text")
    return None


def validated(validate: Callable[[], _Request], model: type[_Request]) -> _Request:
    try:
        return validate()
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise InvalidRequestError(
            [_describe(detail, model) for detail in details], kinds=(detail["type"] for detail in details)
        ) from None


def _check_size(texts: Sequence[str], limit: int, condition: str = "") -> None:
    together = sum(map(len, texts))
    if together > limit:
        raise TooLargeError(
            [f"texts have {together:,} characters together: at most {limit:,} are allowed{condition}"],
            kinds=["too_large"],
        )


def _describe(error: ErrorDetails, model: type[BaseModel], whole: str = "the body") -> str:
    """Say in the caller's words which field is wrong, what came and what is allowed."""
    field = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error["loc"]).removeprefix(".")
    came = error["input"]
    return _WORDS.get(error["type"], "{field}: {message}").format(
        **error.get("ctx", {}),
        field=_shortened(field) if field else whole,
        message=error["msg"],
        came=shown(came),
        size=len(came) if isinstance(came, str | list) else 0,
        known=", ".join(model.model_fields),
    )


def shown(value: object) -> str:
    """Return a value as JSON; of one that has parts only the kind."""
    match value:
        case dict():
            return "an object"
        case None | bool() | int() | float() | str():
            return _shortened(json.dumps(value, ensure_ascii=False))
        case _:
            return "a list"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
