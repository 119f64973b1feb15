"""Jobs by the client, against a real HTTP server that answers as told and records what arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sm_client import (
    ApiError,
    Client,
    ConflictError,
    Job,
    JobFailedError,
    NotFoundError,
    Polling,
    StillRunningError,
    batches,
)
from tests.unit.aws_answers import Aws
from tests.unit.recording_api import ANSWER, Api, serving

ACCEPTED = {"job_id": "a" * 32, "status": "queued", "request_id": "r-1"}
DATES = {"created_at": "2026-01-02T03:04:05.678Z", "updated_at": "2026-01-02T03:04:06.000Z"}
SUCCEEDED = {
    **ACCEPTED,
    **DATES,
    "status": "succeeded",
    "model_version": "1-abc",
    "result_url": "s3://bucket/results/jobs/a.json",
    "results": [{**result, "annotations": None} for result in ANSWER["results"]],  # type: ignore[dict-item]
}
FAILED = {**ACCEPTED, **DATES, "status": "failed", "error": "the model refuses it"}
PROBLEM = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "send a new key"}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with serving() as api:
        yield api


@pytest.fixture
def client(api: Api) -> Client:
    return api.client()


def named(job_id: str, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "job_id": job_id}


def test_submitting_says_what_was_asked_for_and_returns_the_job(client: Client, api: Api) -> None:
    api.answers = [(202, ACCEPTED)]
    job = client.submit(["物流很快", "b"], "zh", True, idempotency_key="order-17")
    assert job == Job(job_id="a" * 32, status="queued", request_id="r-1")
    assert not job.has_ended
    (request,) = api.requests
    assert (request.method, request.path) == ("POST", "/dev/v1/jobs")
    assert request.headers["idempotency-key"] == "order-17"
    assert json.loads(request.body) == {"texts": ["物流很快", "b"], "language": "zh", "annotations": True}


def test_attempts_of_one_call_have_one_key_and_other_calls_another(client: Client, api: Api) -> None:
    api.answers = [(503, PROBLEM), (502, PROBLEM), (202, ACCEPTED)]
    client.submit(["a"])
    client.submit(["a"])
    first, second, third, other = [request.headers["idempotency-key"] for request in api.requests]
    assert first == second == third != other


def test_a_key_that_was_used_for_other_texts_is_a_conflict(client: Client, api: Api) -> None:
    api.answers = [(409, PROBLEM)]
    with pytest.raises(ConflictError, match="409 Conflict: send a new key"):
        client.submit(["a"], idempotency_key="order-17")
    assert len(api.requests) == 1


def test_one_text_instead_of_a_list_is_refused(client: Client, api: Api) -> None:
    with pytest.raises(TypeError, match="give a list"):
        client.submit("abc")
    assert api.requests == []


def test_a_look_at_a_job_becomes_values(client: Client, api: Api) -> None:
    waiting = {**ACCEPTED, **DATES, "last_error": "busy", "added_later": 1}
    api.answers = [(200, waiting), (200, SUCCEEDED)]
    job = client.job("a" * 32)
    assert (job.status, job.last_error, job.error, job.results) == ("queued", "busy", None, None)
    assert job.created_at == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    job = client.job("a" * 32)
    assert (job.status, job.has_ended, job.model_version) == ("succeeded", True, "1-abc")
    assert job.results is not None
    assert [(result.label, result.annotations) for result in job.results] == [("good", None)]
    assert (api.requests[0].method, api.requests[0].path) == ("GET", f"/dev/v1/jobs/{'a' * 32}")


def test_an_id_with_any_characters_stays_in_its_place(client: Client, api: Api) -> None:
    api.answers = [(404, {**PROBLEM, "title": "Not Found", "detail": "there is no job"})]
    with pytest.raises(NotFoundError, match="404 Not Found: there is no job"):
        client.job("a/../b c?d=订单")
    assert api.requests[0].path == "/dev/v1/jobs/a%2F..%2Fb%20c%3Fd%3D%E8%AE%A2%E5%8D%95"


@pytest.mark.parametrize("body", [{}, {**ACCEPTED, "created_at": "yesterday"}, {**ACCEPTED, "results": [{}]}])
def test_a_success_that_is_no_job_is_an_error(client: Client, api: Api, body: object) -> None:
    api.answers = [(200, body)]
    with pytest.raises(ApiError, match="200 unexpected answer"):
        client.job("a")


def test_waiting_looks_again_until_all_have_ended_and_keeps_the_order(client: Client, api: Api) -> None:
    api.answers = [
        (200, named("a", ACCEPTED)),
        (200, named("b", FAILED)),
        (200, named("a", {**ACCEPTED, "status": "running"})),
        (503, PROBLEM),
        (200, named("a", SUCCEEDED)),
    ]
    accepted = Job(job_id="b", status="queued", request_id="r")
    jobs = client.wait(["a", accepted, "a"])
    assert [(job.job_id, job.status) for job in jobs] == [("a", "succeeded"), ("b", "failed"), ("a", "succeeded")]
    assert [request.path[-1] for request in api.requests] == ["a", "b", "a", "a", "a"]


def test_jobs_are_told_of_as_soon_as_they_have_ended(client: Client, api: Api) -> None:
    api.answers = [(200, named("a", ACCEPTED)), (200, named("b", SUCCEEDED)), (200, named("a", SUCCEEDED))]
    ended = client.as_ended(["a", "b"])
    assert next(ended).job_id == "b"
    assert len(api.requests) == 2
    assert [job.job_id for job in ended] == ["a"]


def test_waiting_ends_at_the_time_out_and_names_what_still_runs(client: Client, api: Api) -> None:
    running = {**ACCEPTED, "status": "running", "last_error": "busy"}
    api.answers = [(200, named("a", SUCCEEDED)), (200, named("b", running)), (200, named("c", ACCEPTED))]
    with pytest.raises(StillRunningError, match=r"job b is still running .*: busy.*, and 1 more") as caught:
        client.wait(["a", "b", "c"], timeout_s=0)
    assert [job.job_id for job in caught.value.jobs] == ["b", "c"]
    assert len(api.requests) == 3, "each is looked at once"


def test_nothing_to_wait_for_is_no_request(client: Client, api: Api) -> None:
    assert client.wait([]) == []
    assert api.requests == []


def test_results_of_a_job_that_is_known_to_have_them_take_no_look(client: Client, api: Api) -> None:
    api.answers = [(200, SUCCEEDED)]
    (job,) = client.wait(["a" * 32])
    answer = client.results(job)
    assert (answer.model_version, answer.request_id, [each.label for each in answer]) == ("1-abc", "r-1", ["good"])
    assert len(api.requests) == 1


def test_results_of_a_job_that_was_only_accepted_take_a_look(client: Client, api: Api) -> None:
    api.answers = [(202, {**ACCEPTED, "status": "succeeded"}), (200, SUCCEEDED)]
    assert len(client.results(client.submit(["a"], idempotency_key="again"))) == 1


def test_a_failed_job_has_no_results_and_says_why(client: Client, api: Api) -> None:
    api.answers = [(200, FAILED)]
    with pytest.raises(JobFailedError, match=f"job {'a' * 32} failed: the model refuses it") as caught:
        client.results("a" * 32)
    assert caught.value.job.status == "failed"


def test_a_job_that_has_not_ended_has_no_results_yet(client: Client, api: Api) -> None:
    api.answers = [(200, ACCEPTED)]
    with pytest.raises(StillRunningError, match="is still queued"):
        client.results("a" * 32)


def test_results_too_large_for_an_answer_come_from_where_it_says(api: Api) -> None:
    aws = Aws()
    aws.say("GetObject", {"job_id": "a", "results": ANSWER["results"]})
    api.answers = [(200, {name: value for name, value in SUCCEEDED.items() if name != "results"})]
    assert [each.label for each in api.client(aws.session).results("a")] == ["good"]
    assert aws.calls == ["GetObject"]


def test_a_refusal_of_the_place_of_large_results_is_told(api: Api) -> None:
    aws = Aws()
    aws.say("GetObject", "<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>", status=403)
    api.answers = [(200, {name: value for name, value in SUCCEEDED.items() if name != "results"})]
    with pytest.raises(ClientError, match="not yours"):
        api.client(aws.session).results("a")


def test_pauses_grow_up_to_the_cap_and_are_spread() -> None:
    polling = Polling(first_s=1, factor=2, cap_s=3)
    pauses = [list(islice(polling.pauses(), 4)) for _ in range(200)]
    for column, bound in zip(zip(*pauses, strict=True), [1, 2, 3, 3], strict=True):
        assert bound / 2 <= min(column) < max(column) <= bound


def test_texts_are_sent_in_requests_that_the_api_takes() -> None:
    texts = ["x" * (number % 9_000 + 1) for number in range(0, 90_000, 37)]
    groups = list(batches(texts))
    assert [text for group in groups for text in group] == texts
    assert all(len(group) <= 100 for group in groups)
    assert all(sum(map(len, group)) <= 200_000 for group in groups)
    assert max(sum(map(len, group)) for group in groups) > 190_000


def test_fewer_texts_are_sent_together_when_they_are_annotated() -> None:
    assert [len(group) for group in batches(["x" * 9_000] * 5, annotations=True)] == [2, 2, 1]


def test_a_text_that_is_too_long_goes_by_itself_and_nothing_goes_nowhere() -> None:
    assert list(batches(["a", "x" * 200_001, "b"])) == [["a"], ["x" * 200_001], ["b"]]
    assert list(batches([])) == []
