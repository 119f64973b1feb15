"""The classify function as API Gateway calls it, with the services behind it over HTTP."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.lambda_src.stand_in import Handler, Reply, StandIn

REQUEST_ID = "5e0a6f6c-0b7e-4f2a-9a51-3f1a2b3c4d5e"
TITLES = {
    400: "Bad Request",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

Event = Callable[..., dict[str, Any]]


def problem_of(response: dict[str, Any], status: int) -> str:
    """Check that a response is a complete problem of that status, and return its detail."""
    assert response["statusCode"] == status, response["body"]
    assert response["headers"]["Content-Type"] == "application/problem+json"
    problem = json.loads(response["body"])
    detail = problem.pop("detail")
    assert problem == {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "request_id": REQUEST_ID,
    }
    assert isinstance(detail, str)
    return detail


def results_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    assert response["statusCode"] == 200, response["body"]
    results: list[dict[str, Any]] = json.loads(response["body"])["results"]
    return results


def log_lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_texts_are_answered_with_label_scores_and_language(classify: Handler, event: Event) -> None:
    response = classify(event())

    assert response["statusCode"] == 200
    assert response["headers"] == {"Content-Type": "application/json"}
    assert response["isBase64Encoded"] is False
    common = {"score": 0.75, "scores": {"good": 0.25, "spam": 0.75}, "annotations": None}
    assert json.loads(response["body"]) == {
        "model_version": "v1",
        "results": [
            {"label": "spam", "language": "en", **common},
            {"label": "good", "language": "zh", **common},
        ],
        "request_id": REQUEST_ID,
    }


def test_the_endpoint_gets_all_texts_in_one_call_as_they_were_sent(
    classify: Handler, event: Event, aws: StandIn
) -> None:
    texts = ["  Ｆｕｌｌ　width \r\n", "好\ufeff", "e\u0301", "\u200b", "\U0001f468\u200d\U0001f469"]

    classify(event(body={"texts": texts}))

    assert aws.calls == [("/endpoints/the-endpoint/invocations", {"texts": texts})]


def test_a_language_that_is_named_holds_for_every_text(classify: Handler, event: Event) -> None:
    results = results_of(classify(event(body={"texts": ["质量很好", "fine"], "language": "en"})))

    assert [result["language"] for result in results] == ["en", "en"]


def test_annotations_come_from_the_function_of_each_texts_language(
    classify: Handler, event: Event, aws: StandIn
) -> None:
    texts = ["good", "很好", "Don't", "不好"]

    results = results_of(classify(event(body={"texts": texts, "annotations": True})))

    tokens = [[token["text"] for token in result["annotations"]["tokens"]] for result in results]
    assert tokens == [["good"], ["很", "好"], ["Do", "n't"], ["不好"]]
    assert aws.calls_of("annotate-en") == [{"texts": ["good", "Don't"]}]
    assert aws.calls_of("annotate-zh") == [{"texts": ["很好", "不好"]}]
    assert aws.calls_of("the-endpoint") == [{"texts": texts}]


def test_a_function_is_not_called_for_a_language_that_no_text_has(
    classify: Handler, event: Event, aws: StandIn
) -> None:
    classify(event(body={"texts": ["good"], "annotations": True}))

    assert aws.calls_of("annotate-zh") == []


def test_annotations_without_a_function_for_the_language_are_refused(
    load: Callable[..., Handler], event: Event, aws: StandIn
) -> None:
    classify = load("classify", ENDPOINT_NAME="the-endpoint", PREPROCESSOR_FUNCTION_EN="annotate-en")

    response = classify(event(body={"texts": ["很好"], "annotations": True}))

    assert problem_of(response, 400) == "annotations is true: there are none for zh here; send false"
    assert aws.calls == []


def test_a_base64_encoded_body_is_decoded(classify: Handler, event: Event) -> None:
    (result,) = results_of(classify(event("classify_base64")))

    assert [token["text"] for token in result["annotations"]["tokens"]][:3] == ["质量", "很", "好"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"],
)
@pytest.mark.parametrize("header", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_json_is_read_however_its_type_is_written(
    classify: Handler, event: Event, header: str, content_type: str
) -> None:
    assert classify(event(headers={header: content_type}))["statusCode"] == 200


@pytest.mark.parametrize("headers", [None, {}, {"Accept": "*/*"}])
def test_a_body_without_a_type_is_taken_for_json_as_api_gateway_does(
    classify: Handler, event: Event, headers: dict[str, str] | None
) -> None:
    assert classify(event(headers=headers))["statusCode"] == 200


@pytest.mark.parametrize(
    "texts",
    [
        ["a"] * 100,
        ["x" * 10_000] * 20,
        ["\U0001f600" * 10_000],  # characters are code points, not UTF-16 units
    ],
    ids=["100 texts", "200,000 characters", "10,000 emoji"],
)
def test_the_most_that_is_allowed_is_answered(classify: Handler, event: Event, texts: list[str]) -> None:
    assert len(results_of(classify(event(body={"texts": texts})))) == len(texts)


def test_the_most_that_is_allowed_with_annotations_fits_into_a_response(
    classify: Handler, event: Event, aws: StandIn
) -> None:
    texts = ["好. " * 3_333] * 2
    token = {"text": "好.", "start": 10_000, "end": 10_000, "pos": "CCONJ"}
    annotation = {"tokens": [token] * 6_666, "entities": [{**token, "type": "ORGANIZATION"}] * 3_333, "features": {}}
    aws.scripted["annotate-zh"] = Reply(body=json.dumps({"annotations": [annotation] * 2}).encode())

    response = classify(event(body={"texts": texts, "language": "zh", "annotations": True}))

    assert response["statusCode"] == 200
    assert len(response["body"].encode()) < 6_000_000  # Lambda's limit


def test_the_largest_payload_is_below_a_serverless_endpoints_four_megabytes(
    classify: Handler, event: Event, aws: StandIn
) -> None:
    largest = "\x01" * 10_000  # JSON writes a control character in six bytes, more than any other character

    assert len(results_of(classify(event(body={"texts": [largest] * 20})))) == 20
    assert len(json.dumps(aws.calls[0][1], ensure_ascii=False).encode()) < 4_000_000


BAD_BODIES: dict[str, tuple[object, int, str]] = {
    "no body": (None, 400, 'the body is missing: send a JSON object such as {"texts": ["…"]}'),
    "empty body": ("", 400, 'the body is missing: send a JSON object such as {"texts": ["…"]}'),
    "broken JSON": (
        '{"texts": ["a"',
        400,
        "the body is not JSON: EOF while parsing a list at line 1 column 14",
    ),
    "not JSON at all": ("texts=a", 400, "the body is not JSON: expected ident at line 1 column 2"),
    "a raw NUL byte": (
        '{"texts": ["a\0"]}',
        400,
        "the body is not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 14",
    ),
    "half of a surrogate pair, escaped": (
        '{"texts": ["\\ud83d"]}',
        400,
        "the body is not JSON: unexpected end of hex escape at line 1 column 19",
    ),
    "half of a surrogate pair, raw": (
        '{"texts": ["\ud83d"]}',
        400,
        "the body is not JSON: invalid unicode code point at line 1 column 13",
    ),
    "nested too deep": ("[" * 100_000, 400, "the body is not JSON: recursion limit exceeded at line 1 column 202"),
    "an endless number": (
        '{"texts": ' + "9" * 100_000 + "}",
        400,
        "the body is not JSON: number out of range at line 1 column 4312",
    ),
    "a list": (["a"], 400, "the body is a list: must be an object"),
    "null": ("null", 400, "the body is null: must be an object"),
    "a string": ('"a"', 400, 'the body is "a": must be an object'),
    "no texts": ({}, 400, "texts is missing"),
    "texts that are no list": ({"texts": "good"}, 400, 'texts is "good": must be a list'),
    "texts that are an object": ({"texts": {"0": "good"}}, 400, "texts is an object: must be a list"),
    "no text": ({"texts": []}, 400, "texts has 0 entries: must have from 1 to 100"),
    "101 texts": ({"texts": ["a"] * 101}, 400, "texts has 101 entries: must have from 1 to 100"),
    "a text that is a number": ({"texts": ["a", 1]}, 400, "texts[1] is 1: must be a string"),
    "a text that is null": ({"texts": [None]}, 400, "texts[0] is null: must be a string"),
    "a text that is a list": ({"texts": [["a"]]}, 400, "texts[0] is a list: must be a string"),
    "an empty text": ({"texts": ["a", ""]}, 400, "texts[1] has 0 characters: must have from 1 to 10,000"),
    "10,001 characters": (
        {"texts": ["x" * 10_001]},
        400,
        "texts[0] has 10,001 characters: must have from 1 to 10,000",
    ),
    "an escaped NUL": ({"texts": ["ab\0"]}, 400, "texts[0] has the character U+0000 at 2: remove it"),
    "unknown language": (
        {"texts": ["a"], "language": "fr"},
        400,
        "language is \"fr\": must be 'auto', 'en' or 'zh'",
    ),
    "a long unknown language": (
        {"texts": ["a"], "language": "x" * 1_000},
        400,
        f"language is \"{'x' * 39}…: must be 'auto', 'en' or 'zh'",
    ),
    "language of a wrong type": (
        {"texts": ["a"], "language": 1},
        400,
        "language is 1: must be 'auto', 'en' or 'zh'",
    ),
    "annotations that are a string": (
        {"texts": ["a"], "annotations": "yes"},
        400,
        'annotations is "yes": must be true or false',
    ),
    "annotations that are a number": (
        {"texts": ["a"], "annotations": 1},
        400,
        "annotations is 1: must be true or false",
    ),
    "an unknown field": (
        {"texts": ["a"], "lang": "en"},
        400,
        "lang is not known: allowed are texts, language, annotations",
    ),
    "everything wrong at once": (
        {"texts": ["", 2], "language": "fr", "annotations": None, "x": {}},
        400,
        "texts[0] has 0 characters: must have from 1 to 10,000; texts[1] is 2: must be a string; "
        "language is \"fr\": must be 'auto', 'en' or 'zh'; annotations is null: must be true or false; "
        "x is not known: allowed are texts, language, annotations",
    ),
    "100 empty texts": (
        {"texts": [""] * 100},
        400,
        "; ".join(f"texts[{i}] has 0 characters: must have from 1 to 10,000" for i in range(20)) + "; and 80 more",
    ),
    "200,001 characters together": (
        {"texts": ["x" * 10_000] * 20 + ["y"]},
        413,
        "texts have 200,001 characters together: at most 200,000 are allowed",
    ),
    "20,001 characters with annotations": (
        {"texts": ["x" * 10_000] * 2 + ["y"], "annotations": True},
        413,
        "texts have 20,001 characters together: at most 20,000 are allowed with annotations",
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_with_all_that_is_wrong(classify: Handler, event: Event, aws: StandIn, name: str) -> None:
    body, status, detail = BAD_BODIES[name]

    assert problem_of(classify(event(body=body)), status) == detail
    assert aws.calls == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonlines", "json"]
)
def test_another_media_type_is_refused(classify: Handler, event: Event, content_type: str) -> None:
    response = classify(event(headers={"Content-Type": content_type}))

    assert problem_of(response, 415) == f"the content type is {content_type!r}: must be application/json"


@pytest.mark.parametrize("body", ["{}", "e30", "e3\u00f60=", "e30=\0"])
def test_a_body_that_is_not_the_base64_it_says_is_refused(classify: Handler, event: Event, body: str) -> None:
    response = classify(event(body=body, isBase64Encoded=True))

    assert problem_of(response, 400) == "the body is marked as base64 and is not"


def test_a_base64_body_that_is_not_utf_8_is_refused(classify: Handler, event: Event) -> None:
    body = base64.b64encode('{"texts": ["é"]}'.encode("latin-1")).decode()

    detail = problem_of(classify(event(body=body, isBase64Encoded=True)), 400)

    assert detail == "the body is not JSON: invalid unicode code point at line 1 column 13"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
ALMOST_RIGHT = st.fixed_dictionaries(
    {"texts": st.lists(st.text(min_size=1) | JSON, max_size=4)},
    optional={"language": st.sampled_from(["auto", "en", "zh"]) | JSON, "annotations": st.booleans() | JSON, "x": JSON},
)


# The fixtures only set up the function and its services, which every example may share.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON.map(json.dumps) | ALMOST_RIGHT.map(json.dumps) | st.text(), base64_encoded=st.booleans())
def test_any_body_gets_a_valid_answer(classify: Handler, event: Event, body: str, base64_encoded: bool) -> None:
    response = classify(event(body=body, isBase64Encoded=base64_encoded))

    answer = json.loads(response["body"])
    if response["statusCode"] == 200:
        texts = json.loads(body)["texts"]
        assert len(answer["results"]) == len(texts)
    else:
        assert problem_of(response, 400)
    assert answer["request_id"] == REQUEST_ID
    response["body"].encode()  # what Lambda sends is UTF-8


def test_bad_input_is_logged_without_a_stack_trace_and_without_its_content(
    classify: Handler, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(event(body={"texts": ["a secret text", 5], "language": "secret", "secret": 1}))

    output = capsys.readouterr().out
    (line,) = log_lines(output)
    assert line["level"] == "WARNING"
    assert line["message"] == "request refused"
    assert line["problems"] == ["extra_forbidden", "literal_error", "string_type"]
    assert line["request_id"] == REQUEST_ID
    assert "exception" not in line
    assert "secret" not in output


def test_an_answer_is_logged_without_texts_and_counted_by_language(
    classify: Handler, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(event(body={"texts": ["secret", "a second", "秘密"], "annotations": True}))

    output = capsys.readouterr().out
    assert "secret" not in output
    assert "秘密" not in output
    lines = log_lines(output)
    (logged,) = [line for line in lines if "level" in line]
    assert logged["texts"] == {"en": 2, "zh": 1}
    assert logged["model_version"] == "v1"
    metrics = {
        (metric["Name"], metric["Unit"], line.get("language")): line[metric["Name"]]
        for line in lines
        for metrics in line.get("_aws", {}).get("CloudWatchMetrics", [])
        for metric in metrics["Metrics"]
    }
    (latency,) = metrics.pop(("ModelLatency", "Milliseconds", None))
    assert 0 < latency < 2_000
    assert metrics == {("Texts", "Count", "en"): [2], ("Texts", "Count", "zh"): [1]}


def model_error(status: int, message: str) -> Reply:
    body = {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": "arn:aws:logs:the-log"}
    return Reply(424, json.dumps(body).encode(), "ModelError")


def service_error(status: int, error_type: str, message: str = "what AWS says") -> Reply:
    return Reply(status, json.dumps({"message": message}).encode(), error_type)


UNAVAILABLE = "busy or still starting: send the request again later"
NOT_SET_UP = "the service is not set up right: the log has it by the request_id"
FAILURES: dict[str, tuple[Reply, int, str]] = {
    "model not ready": (service_error(429, "ModelNotReadyException"), 503, UNAVAILABLE),
    "throttled": (service_error(400, "ThrottlingException"), 503, UNAVAILABLE),
    "internal failure": (service_error(500, "InternalFailure"), 503, UNAVAILABLE),
    "service unavailable": (service_error(503, "ServiceUnavailable"), 503, UNAVAILABLE),
    "internal dependency": (service_error(530, "InternalDependencyException"), 503, UNAVAILABLE),
    "the model crashed": (model_error(500, "a secret text"), 503, UNAVAILABLE),
    "connection closed": (Reply(cut_off=True), 503, UNAVAILABLE),
    "the model refused": (model_error(400, "texts[0] is odd"), 502, "the model refused the texts: texts[0] is odd"),
    "no permission": (service_error(403, "AccessDeniedException", "role r may not"), 500, NOT_SET_UP),
    "no such endpoint": (service_error(400, "ValidationError", "endpoint not found"), 500, NOT_SET_UP),
    "too slow": (
        Reply(delay_seconds=1.8),
        504,
        "no answer in time: try again later, or with fewer or shorter texts",
    ),
    "an answer that is no JSON": (
        Reply(body=b"<html>"),
        502,
        "the model's answer has not the agreed form",
    ),
    "too few results": (
        Reply(body=b'{"model_version": "v1", "results": []}'),
        502,
        "the model's answer has not the agreed form",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_endpoint_is_a_problem_of_the_fitting_status(
    classify: Handler, event: Event, aws: StandIn, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    reply, status, detail = FAILURES[name]
    aws.replies.extend([reply] * 9)

    response = classify(event())

    assert problem_of(response, status) == detail
    assert response["headers"].get("Retry-After") == ("5" if status == 503 else None)
    output = capsys.readouterr().out
    (line,) = log_lines(output)
    assert line["level"] == "ERROR"
    assert "exception" not in line
    assert "secret" not in output


def test_a_missing_permission_is_logged_as_what_it_is(
    classify: Handler, event: Event, aws: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.replies.append(service_error(403, "AccessDeniedException", "role r may not sagemaker:InvokeEndpoint"))

    classify(event())

    (line,) = log_lines(capsys.readouterr().out)
    assert line["message"] == "configuration error: role r may not sagemaker:InvokeEndpoint"
    assert line["error"] == "AccessDeniedException"
    assert line["operation"] == "InvokeEndpoint"
    assert line["request_id"] == REQUEST_ID


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_failure_that_passes_is_not_seen_by_the_caller(
    load: Callable[..., Handler], event: Event, aws: StandIn, failures: int
) -> None:
    classify = load("classify", ENDPOINT_NAME="the-endpoint", ENDPOINT_TIMEOUT_SECONDS="60")
    aws.replies.extend([service_error(429, "ModelNotReadyException")] * failures)

    assert classify(event())["statusCode"] == 200
    assert len(aws.calls) == failures + 1


@pytest.mark.parametrize("name", ["the model refused", "no permission", "no such endpoint", "too slow"])
def test_a_failure_that_does_not_pass_is_not_tried_again(
    classify: Handler, event: Event, aws: StandIn, name: str
) -> None:
    aws.replies.append(FAILURES[name][0])

    classify(event())

    assert len(aws.calls) == 1


RAISED = Reply(body=b'{"errorMessage": "a secret text"}', headers={"X-Amz-Function-Error": "Unhandled"})
ANNOTATION_FAILURES: dict[str, tuple[Reply, int, dict[str, object]]] = {
    "the function raised": (RAISED, 502, {"function_error": "Unhandled"}),
    "the function refused": (Reply(body=b'{"error": "a secret text"}'), 502, {"problems": ["missing"]}),
    "too few annotations": (Reply(body=b'{"annotations": []}'), 502, {"texts": 1, "annotations": 0}),
    "throttled": (service_error(429, "TooManyRequestsException"), 503, {"error": "TooManyRequestsException"}),
    "no such function": (service_error(404, "ResourceNotFoundException"), 500, {"operation": "Invoke"}),
    "no permission": (service_error(403, "AccessDeniedException"), 500, {"error": "AccessDeniedException"}),
}


@pytest.mark.parametrize("name", ANNOTATION_FAILURES)
def test_a_failing_annotation_is_a_problem_of_the_fitting_status(
    classify: Handler, event: Event, aws: StandIn, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    reply, status, logged = ANNOTATION_FAILURES[name]
    aws.scripted["annotate-en"] = reply

    detail = problem_of(classify(event(body={"texts": ["good"], "annotations": True})), status)

    output = capsys.readouterr().out
    (line,) = log_lines(output)
    assert logged.items() <= line.items()
    assert "secret" not in detail + output


def test_an_unexpected_error_is_answered_and_logged_with_its_stack_trace(
    classify: Handler, event: Event, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("text_classification.logic.classification.detect_language", broken)

    detail = problem_of(classify(event()), 500)

    assert detail == "an error that was not expected: the log has it by the request_id"
    (line,) = log_lines(capsys.readouterr().out)
    assert line["level"] == "ERROR"
    assert "LookupError: a bug" in line["exception"]


def test_the_calls_stay_within_the_time_they_are_given(
    load: Callable[..., Handler], event: Event, aws: StandIn
) -> None:
    classify = load("classify", ENDPOINT_NAME="the-endpoint", ENDPOINT_TIMEOUT_SECONDS="1")
    aws.replies.extend([Reply(503, b"{}", "ServiceUnavailable"), *[Reply(delay_seconds=0.95)] * 3])

    started = time.monotonic()
    response = classify(event())

    assert response["statusCode"] in {503, 504}
    assert time.monotonic() - started < 1.2


def test_a_service_that_cannot_be_reached_is_not_available(
    load: Callable[..., Handler], event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_before_use:
        port = closed_before_use.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    classify = load("classify", ENDPOINT_NAME="the-endpoint", ENDPOINT_TIMEOUT_SECONDS="1")

    assert problem_of(classify(event()), 503) == UNAVAILABLE


def test_a_function_without_the_endpoints_name_does_not_start(load: Callable[..., Handler]) -> None:
    with pytest.raises(KeyError, match="ENDPOINT_NAME"):
        load("classify")
