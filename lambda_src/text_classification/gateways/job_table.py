"""The table of jobs, in DynamoDB: one item for each, which decides what happens with it next.

Its stream is what queues a job that was written and announces one that ended, so that writing an item is all
that accepting or ending a job takes: nothing can be written and then not be followed by what belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_items import ASYNCHRONOUS, Ending, Job, attribute, item, job_of, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEMS_A_CALL = 100  # the limit of TransactWriteItems and of BatchGetItem
_CONDITION = "ConditionalCheckFailed"
_AWAITED_INDEX = "awaited"

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTable:
    """The table.

    Args:
        client: Made with ``budget.client_config()``.
        table_name: The table.
        budget: How long a call may take, repetitions included.
    """

    client: DynamoDBClient
    table_name: str
    budget: TimeBudget

    def create(self, job: Job) -> Job | None:
        """Write a job, unless there is one of that id: that is returned then. Raises GatewayError."""

        def put() -> Job | None:
            try:
                self.client.put_item(
                    TableName=self.table_name,
                    Item=item(job),
                    ConditionExpression="attribute_not_exists(job_id)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self.client.exceptions.ConditionalCheckFailedException as error:
                return job_of(error.response["Item"])  # type: ignore[typeddict-item]  # the stubs lack it
            return None

        return call_service(put, self.budget)

    def create_all(self, jobs: Sequence[Job]) -> set[str]:
        """Write jobs and return those that were not there before. Raises GatewayError."""
        return self._write_those_that_hold(
            {
                job.job_id: {
                    "Put": {
                        "TableName": self.table_name,
                        "Item": item(job),
                        "ConditionExpression": "attribute_not_exists(job_id)",
                    }
                }
                for job in jobs
            }
        )

    def read(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of the jobs that there are, as they are now. Raises GatewayError."""
        found: dict[str, Job] = {}
        for ids in chunks(job_ids, _ITEMS_A_CALL):
            found |= {job.job_id: job for job in call_service(partial(self._read, ids), self.budget)}
        return found

    def claim(self, job_ids: Sequence[str], *, claim: str, now: int, until: int, updated_at: str) -> set[str]:
        """Take those of the jobs that are free and return them; nobody else can until then. Raises GatewayError."""
        values: dict[str, str | int] = {
            "job_status": "running",
            "claim": claim,
            "free_at": until,
            "updated_at": updated_at,
        }
        condition = {":now": attribute("free_at", now)}
        return self._write_those_that_hold(
            {job_id: self._update(job_id, values, "free_at <= :now", condition) for job_id in job_ids}
        )

    def end(self, endings: Sequence[Ending], *, claim: str) -> set[str]:
        """Say what became of claimed jobs; return those whose claim still held. Raises GatewayError."""
        condition = {":claimed": {"S": claim}, ":running": {"S": "running"}}
        held = "claim = :claimed AND job_status = :running"
        return self._write_those_that_hold(
            {each.job_id: self._update(each.job_id, values_of(each), held, condition) for each in endings}
        )

    def bury(self, problems: Mapping[str, str], *, now: int, updated_at: str) -> set[str]:
        """Let jobs fail that nobody works on, and return those that had not failed before. Raises GatewayError."""
        condition = {":now": attribute("free_at", now), ":failed": {"S": "failed"}}
        return self._write_those_that_hold(
            {
                job_id: self._update(
                    job_id,
                    {"job_status": "failed", "problem": problem, "updated_at": updated_at},
                    "free_at <= :now AND job_status <> :failed",
                    condition,
                )
                for job_id, problem in problems.items()
            }
        )

    def overdue(self, *, now: int) -> list[str]:
        """Return jobs that an asynchronous endpoint should have been done with, up to a hundred. Raises GatewayError.

        By an index that has just the jobs that such an endpoint has.
        """

        def query() -> list[str]:
            answer = self.client.query(
                TableName=self.table_name,
                IndexName=_AWAITED_INDEX,
                KeyConditionExpression="awaits = :awaits AND free_at <= :now",
                ExpressionAttributeValues={":awaits": {"S": ASYNCHRONOUS}, ":now": {"N": str(now)}},
                Limit=_ITEMS_A_CALL,
            )
            return [found["job_id"]["S"] for found in answer["Items"]]

        return call_service(query, self.budget)

    def postpone(self, job_ids: Sequence[str], *, now: int, until: int) -> set[str]:
        """Let overdue jobs be none until then, and return those that still were. Raises GatewayError."""
        values: dict[str, str | int] = {"free_at": until, "awaits": ASYNCHRONOUS}
        condition = {":now": attribute("free_at", now), ":awaited": attribute("awaits", ASYNCHRONOUS)}
        return self._write_those_that_hold(
            {
                job_id: self._update(job_id, values, "awaits = :awaited AND free_at <= :now", condition)
                for job_id in job_ids
            }
        )

    def _read(self, job_ids: Sequence[str]) -> list[Job]:
        keys: list[Mapping[str, Any]] = [{"job_id": {"S": job_id}} for job_id in job_ids]
        answer = self.client.batch_get_item(RequestItems={self.table_name: {"Keys": keys, "ConsistentRead": True}})
        if unprocessed := answer["UnprocessedKeys"]:
            raise UnavailableError("the job table is busy", {"unprocessed": len(unprocessed)})
        return [job_of(attributes) for attributes in answer["Responses"][self.table_name]]

    def _update(
        self, job_id: str, values: Mapping[str, str | int], condition: str, condition_values: Mapping[str, Any]
    ) -> dict[str, Any]:
        no_longer_awaited = "" if "awaits" in values else " REMOVE awaits"
        return {
            "Update": {
                "TableName": self.table_name,
                "Key": {"job_id": {"S": job_id}},
                "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in values) + no_longer_awaited,
                "ConditionExpression": f"attribute_exists(job_id) AND {condition}",
                "ExpressionAttributeValues": {
                    **{f":{name}": attribute(name, value) for name, value in values.items()},
                    **condition_values,
                },
            }
        }

    def _write_those_that_hold(self, writes: Mapping[str, dict[str, Any]]) -> set[str]:
        """Make the writes whose conditions hold, as many in one call as there may be, and return them."""
        written: set[str] = set()
        for some in chunks(writes, _ITEMS_A_CALL):
            written |= call_service(partial(self._write, some, writes), self.budget)
        return written

    def _write(self, job_ids: Sequence[str], writes: Mapping[str, Any]) -> set[str]:
        pending = list(job_ids)
        while pending:
            try:
                self.client.transact_write_items(TransactItems=[writes[job_id] for job_id in pending])
            except self.client.exceptions.TransactionCanceledException as error:
                codes = [str(reason.get("Code")) for reason in error.response["CancellationReasons"]]
                if _CONDITION not in codes:
                    raise UnavailableError("the job table is busy", {"codes": sorted(set(codes))}) from error
                # A transaction is made in full or not at all: make it again without those that do not hold.
                pending = [job_id for job_id, code in zip(pending, codes, strict=True) if code != _CONDITION]
            else:
                break
        return set(pending)


def chunks(items: Iterable[_Item], size: int) -> Iterable[list[_Item]]:
    """Yield the items in lists of at most that size.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
