"""Saving rows through the Data API: within its limits, and with failures told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_classification.gateways import result_database
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.data_api import DataApi
from text_classification.gateways.errors import (
    GatewayError,
    MisconfiguredError,
    RejectedError,
    TimedOutError,
    UnavailableError,
)
from text_classification.gateways.result_database import ClassificationRow, DataApiResultStore, _batches

from tests.unit.lambda_src.stand_in import Reply, StandIn

ROW = ClassificationRow(
    job_id="job",
    text_index=0,
    text="质量太差了",
    label="bad",
    score=1,
    scores={"bad": 1.0},
    language=None,
    model_version="v1",
    classified_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


@pytest.fixture
def store(aws: StandIn) -> DataApiResultStore:
    aws.scripted["/BatchExecute"] = Reply(body=b'{"updateResults": []}')
    budget = TimeBudget(total_seconds=2)
    client = boto3.client("rds-data", config=budget.client_config())
    arns = {"cluster_arn": "the-cluster", "secret_arn": "the-secret-arn"}
    return DataApiResultStore(data_api=DataApi(client=client, **arns, database="d", budget=budget))


def indices(call: Any) -> list[int]:
    return [parameters[1]["value"]["longValue"] for parameters in call["parameterSets"]]


def test_a_row_is_sent_as_parameters_of_an_insert_that_changes_nothing_twice(
    store: DataApiResultStore, aws: StandIn
) -> None:
    store.save([ROW])

    ((_, call),) = aws.calls
    assert (call["resourceArn"], call["secretArn"], call["database"]) == ("the-cluster", "the-secret-arn", "d")
    assert "ON CONFLICT (job_id, text_index) DO NOTHING" in call["sql"]
    (parameters,) = call["parameterSets"]
    assert {each["name"]: each["value"] for each in parameters} == {
        "job_id": {"stringValue": "job"},
        "text_index": {"longValue": 0},
        "text": {"stringValue": "质量太差了"},
        "label": {"stringValue": "bad"},
        "score": {"doubleValue": 1.0},
        "scores": {"stringValue": '{"bad": 1.0}'},
        "language": {"isNull": True},
        "model_version": {"stringValue": "v1"},
        "classified_at": {"stringValue": "2026-03-01T12:00:00+00:00"},
    }


def test_no_rows_are_no_call(store: DataApiResultStore, aws: StandIn) -> None:
    store.save([])
    assert aws.calls == []


def test_rows_are_sent_in_one_order_so_that_calls_cannot_lock_each_other_out(
    store: DataApiResultStore, aws: StandIn
) -> None:
    store.save([replace(ROW, text_index=index) for index in (2, 0, 1)])
    assert [indices(call) for _, call in aws.calls] == [[0, 1, 2]]


def test_many_rows_are_split_by_their_number(
    store: DataApiResultStore, aws: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_database, "MAX_BATCH_ROWS", 2)
    store.save([replace(ROW, text_index=index) for index in range(5)])
    assert [indices(call) for _, call in aws.calls] == [[0, 1], [2, 3], [4]]


def test_no_request_is_larger_than_the_data_api_takes(store: DataApiResultStore, aws: StandIn) -> None:
    store.save([replace(ROW, text_index=index, text="字" * 10_000) for index in range(200)])

    sizes = [len(json.dumps(call)) for _, call in aws.calls]
    assert sum(len(call["parameterSets"]) for _, call in aws.calls) == 200
    assert max(sizes) < 4 * 1024 * 1024
    assert len(sizes) == 4


@settings(max_examples=200)
@given(lengths=st.lists(st.integers(min_value=0, max_value=60), max_size=30))
def test_batches_lose_nothing_and_are_as_large_as_they_may(lengths: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_database, "MAX_BATCH_BYTES", 50)
        patch.setattr(result_database, "MAX_BATCH_ROWS", 4)
        sets: list[Any] = ["x" * length for length in lengths]

        batches: list[list[Any]] = [list(batch) for batch in _batches(sets)]

    def fits(batch: list[str]) -> bool:
        return len(batch) == 1 or (len(batch) <= 4 and sum(len(text) + 2 for text in batch) <= 50)

    assert [text for batch in batches for text in batch] == sets
    assert all(batches)
    assert all(fits(batch) for batch in batches)
    assert not any(fits([*one, other[0]]) for one, other in pairwise(batches))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="classified_at has no time zone"):
        replace(ROW, classified_at=datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (("DatabaseResumingException", 400, "The Aurora DB instance is resuming"), UnavailableError),
        (("DatabaseUnavailableException", 504, "no instance"), UnavailableError),
        (("ThrottlingException", 400, "slow down"), UnavailableError),
        (("DatabaseErrorException", 400, "ERROR: deadlock detected; SQLState: 40P01"), UnavailableError),
        (("DatabaseErrorException", 400, "FATAL: too many connections; SQLState: 53300"), UnavailableError),
        (("DatabaseErrorException", 400, "ERROR: no such table; SQLState: 42P01"), RejectedError),
        (("DatabaseErrorException", 400, "ERROR: something new"), RejectedError),
        (("StatementTimeoutException", 400, "too long"), TimedOutError),
        (("AccessDeniedException", 403, "not authorized"), MisconfiguredError),
        (("DatabaseNotFoundException", 404, "no such database"), MisconfiguredError),
        (("SecretsErrorException", 400, "no such secret"), MisconfiguredError),
    ],
)
def test_failures_are_told_apart(
    store: DataApiResultStore, aws: StandIn, failure: tuple[str, int, str], kind: type[GatewayError]
) -> None:
    code, status, message = failure
    body = json.dumps({"message": message}).encode()
    aws.scripted["/BatchExecute"] = Reply(status=status, error_type=code, body=body)

    with pytest.raises(GatewayError) as caught:
        store.save([ROW])

    assert type(caught.value) is kind
    assert caught.value.facts["error"] == code


def test_a_database_that_is_awake_soon_is_waited_for(store: DataApiResultStore, aws: StandIn) -> None:
    answer = aws.scripted.pop("/BatchExecute")
    aws.replies.extend([Reply(status=400, error_type="DatabaseResumingException", body=b"{}"), answer])
    store = DataApiResultStore(data_api=replace(store.data_api, budget=TimeBudget(total_seconds=60)))

    store.save([ROW])

    assert len(aws.calls) == 2


def test_what_the_database_says_is_for_nobodys_log(store: DataApiResultStore, aws: StandIn) -> None:
    said = 'ERROR: invalid input syntax for type json: "质量太差了"; SQLState: 22P02'
    body = json.dumps({"message": said}).encode()
    aws.scripted["/BatchExecute"] = Reply(status=400, error_type="DatabaseErrorException", body=body)

    with pytest.raises(RejectedError) as caught:
        store.save([ROW])

    assert "质量太差了" not in f"{caught.value} {caught.value.facts}"
    assert caught.value.facts["sql_state"] == "22P02"
    assert said in caught.value.cause
