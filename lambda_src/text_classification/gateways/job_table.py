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
from text_classification.gateways.job_items import (
    OVERDUE_SECONDS,
    Ending,
    Job,
    KeyedJob,
    attribute,
    item,
    job_of,
    values_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ITEMS_A_CALL = 100  # the limit of TransactWriteItems and of BatchGetItem
_CONDITION = "ConditionalCheckFailed"
_WATCHED_INDEX = "watched"

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

    def create_all(self, jobs: Sequence[Job]) -> None:
        """Write those of the jobs that are not there. Raises GatewayError."""
        self._write_those_that_hold({job.job_id: self._new(job) for job in jobs})

    def create_under_key(self, job: Job, key: str, *, now: int) -> KeyedJob | None:
        """Write a job and the key that names it in one step, unless the key names one already: return that then.

        A key is forgotten with its job. Raises GatewayError.
        """
        key_item = {
            "job_id": {"S": key},
            "keyed_job_id": {"S": job.job_id},
            "request_hash": {"S": job.request_hash},
            "expires_at": attribute("expires_at", job.expires_at),
        }
        new_key: Any = {
            "TableName": self.table_name,
            "Item": key_item,
            # DynamoDB deletes what has expired some time later.
            "ConditionExpression": "attribute_not_exists(job_id) OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": attribute("expires_at", now)},
        }

        def write() -> KeyedJob | None:
            try:
                self.client.transact_write_items(TransactItems=[{"Put": new_key}, self._new(job)])
            except self.client.exceptions.TransactionCanceledException as error:
                # It names one, or somebody else is just writing it.
                for found in self._attributes([key]):
                    if int(found["expires_at"]["N"]) > now:
                        return KeyedJob(job_id=found["keyed_job_id"]["S"], request_hash=found["request_hash"]["S"])
                raise UnavailableError("the job table is busy", {"error": str(error)}) from error
            return None

        return call_service(write, self.budget)

    def read(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of the jobs that there are, as they are now. Raises GatewayError."""
        found: dict[str, Job] = {}
        for ids in chunks(job_ids, _ITEMS_A_CALL):
            found |= {job.job_id: job for job in call_service(partial(self._read, ids), self.budget)}
        return found

    def claim(
        self, jobs: Sequence[Job], *, claim: str, now: int, until: int, updated_at: str, overdue_at: int | None = None
    ) -> set[str]:
        """Take those of the jobs that are free and as they were seen, and return them; nobody else can until then.

        How long they are remembered, how often they were handed over, by which call and where its answer is are as the
        jobs say. One that had failed is watched again.

        Args:
            jobs: The jobs.
            claim: Who takes them.
            now: In seconds since 1970.
            until: When they are free again.
            updated_at: Now, in ISO 8601.
            overdue_at: When they are looked after. When omitted: as before, or in :data:`OVERDUE_SECONDS`.

        Raises:
            GatewayError: Not all could be taken.
        """
        values: dict[str, str | int] = {
            "job_status": "running",
            "claim": claim,
            "free_at": until,
            "updated_at": updated_at,
        }
        return self._write_those_that_hold(
            {
                job.job_id: self._update(
                    job.job_id,
                    {
                        **values,
                        "expires_at": job.expires_at,
                        "hand_overs": job.hand_overs,
                        **({"inference_id": job.inference_id} if job.inference_id else {}),
                        **({"output_url": job.output_url} if job.output_url else {}),
                        **({"overdue_at": overdue_at} if overdue_at else {}),
                    },
                    *_free_and_unchanged(job, now),
                    unless_set={
                        "watched": job.job_id[0],
                        **({} if overdue_at else {"overdue_at": now + OVERDUE_SECONDS}),
                    },
                )
                for job in jobs
            }
        )

    def end(self, endings: Sequence[Ending], *, claim: str) -> set[str]:
        """Say what became of claimed jobs; return those whose claim still held. Raises GatewayError."""
        condition = {":claimed": {"S": claim}, ":running": {"S": "running"}}
        held = "claim = :claimed AND job_status = :running"
        return self._write_those_that_hold(
            {
                each.job_id: self._update(each.job_id, values_of(each), held, condition, final=each.is_final)
                for each in endings
            }
        )

    def bury(self, problems: Mapping[Job, str], *, now: int, updated_at: str) -> set[str]:
        """Let jobs fail that are still as they were seen, and return them. Raises GatewayError."""
        return self._write_those_that_hold(
            {
                job.job_id: self._update(
                    job.job_id,
                    {"job_status": "failed", "problem": problem, "updated_at": updated_at},
                    *_free_and_unchanged(job, now),
                    final=True,
                )
                for job, problem in problems.items()
            }
        )

    def overdue(self, shard: str, *, now: int) -> list[Job]:
        """Return jobs of a part of :data:`SHARDS` that are overdue, up to a hundred, as they are. Raises GatewayError.

        By an index that has just the jobs that have not ended. It is a little behind the table.
        """

        def query() -> list[str]:
            answer = self.client.query(
                TableName=self.table_name,
                IndexName=_WATCHED_INDEX,
                KeyConditionExpression="watched = :shard AND overdue_at <= :now",
                ExpressionAttributeValues={":shard": {"S": shard}, ":now": attribute("overdue_at", now)},
                Limit=_ITEMS_A_CALL,
            )
            return [found["job_id"]["S"] for found in answer["Items"]]

        found = self.read(call_service(query, self.budget))
        return [job for job in found.values() if job.overdue_at is not None and job.overdue_at <= now]

    def postpone(self, until: Mapping[str, int], *, now: int) -> None:
        """Let overdue jobs be none until then, by job; what no longer is one stays as it is. Raises GatewayError."""
        condition = {":now": attribute("overdue_at", now)}
        self._write_those_that_hold(
            {
                job_id: self._update(job_id, {"overdue_at": then}, "overdue_at <= :now", condition)
                for job_id, then in until.items()
            }
        )

    def _read(self, job_ids: Sequence[str]) -> list[Job]:
        return [job_of(attributes) for attributes in self._attributes(job_ids)]

    def _attributes(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        keys: list[Mapping[str, Any]] = [{"job_id": {"S": job_id}} for job_id in job_ids]
        answer = self.client.batch_get_item(RequestItems={self.table_name: {"Keys": keys, "ConsistentRead": True}})
        if unprocessed := answer["UnprocessedKeys"]:
            raise UnavailableError("the job table is busy", {"unprocessed": len(unprocessed)})
        return answer["Responses"][self.table_name]

    def _new(self, job: Job) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self.table_name,
                "Item": item(job),
                "ConditionExpression": "attribute_not_exists(job_id)",
            }
        }

    def _update(
        self,
        job_id: str,
        values: Mapping[str, str | int],
        condition: str,
        condition_values: Mapping[str, Any],
        *,
        unless_set: Mapping[str, str | int] | None = None,
        final: bool = False,
    ) -> TransactWriteItemTypeDef:
        defaults = unless_set or {}
        changes = [f"{name} = :{name}" for name in values]
        changes += [f"{name} = if_not_exists({name}, :{name})" for name in defaults]
        return {
            "Update": {
                "TableName": self.table_name,
                "Key": {"job_id": {"S": job_id}},
                "UpdateExpression": f"SET {', '.join(changes)}{' REMOVE watched, overdue_at' if final else ''}",
                "ConditionExpression": f"attribute_exists(job_id) AND {condition}",
                "ExpressionAttributeValues": {
                    **{f":{name}": attribute(name, value) for name, value in {**values, **defaults}.items()},
                    **condition_values,
                },
            }
        }

    def _write_those_that_hold(self, writes: Mapping[str, TransactWriteItemTypeDef]) -> set[str]:
        """Make the writes whose conditions hold, as many in one call as there may be, and return them."""
        written: set[str] = set()
        for some in chunks(writes, _ITEMS_A_CALL):
            written |= call_service(partial(self._write, some, writes), self.budget)
        return written

    def _write(self, job_ids: Sequence[str], writes: Mapping[str, TransactWriteItemTypeDef]) -> set[str]:
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


def _free_and_unchanged(job: Job, now: int) -> tuple[str, dict[str, Any]]:
    values = {":now": attribute("free_at", now), ":seen": attribute("updated_at", job.updated_at)}
    return "free_at <= :now AND updated_at = :seen", values


def chunks(items: Iterable[_Item], size: int) -> Iterable[list[_Item]]:
    """Yield the items in lists of at most that size.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
