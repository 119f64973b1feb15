"""Jobs that are too large for one call of the model: an asynchronous endpoint labels their texts.

It tells a topic when it is done, and the topic the queue. A job that it does not speak of in time is looked after:
a reminder in the same queue lets the consumer see what the endpoint left in S3.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import AsynchronousEndpoint, Locations, Notification
from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.gateways.job_items import ASYNCHRONOUS, Ending, Job, is_job_id
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.classification import classified_texts, languages_of
from text_classification.logic.job_outcomes import Again, Done, Outcome, Refused, failed_by
from text_classification.logic.job_results import ResultKeeper, results_of
from text_classification.logic.jobs import request_of, timestamp
from text_classification.logic.requests import InvalidRequestError

_SILENCE = "the asynchronous endpoint said nothing of it in time, and left neither an answer nor an error in S3"
_NO_ENDPOINT = "the queue no longer has the asynchronous endpoint that had it: send it again when there is one"


@dataclass(frozen=True, kw_only=True, slots=True)
class LargeJobs:
    """Hands large jobs over and finishes them.

    The endpoint's notifications come as messages of the same queue, so that they are as little lost as jobs.

    Args:
        endpoint: The endpoint.
        table: The jobs.
        objects: Their requests.
        keeper: Keeps their results.
        timeout_seconds: How long the endpoint may have a job before it is looked after.
    """

    endpoint: AsynchronousEndpoint
    table: JobTable
    objects: JobObjects
    keeper: ResultKeeper
    timeout_seconds: int

    def hand_over(self, job_id: str, texts: Sequence[str], *, claim: str) -> Outcome:
        """Let the endpoint have a job that was claimed; it is running until the endpoint says something."""
        free_at = int(time.time()) + self.timeout_seconds
        try:
            locations = self.endpoint.hand_over(job_id, texts)
            ending = Ending(
                job_id=job_id,
                job_status="running",
                updated_at=timestamp(datetime.now(UTC)),
                claim=ASYNCHRONOUS,
                free_at=free_at,
                overdue_at=free_at,
                output_url=locations.output_url,
                failure_url=locations.failure_url,
            )
            handed = self.table.end([ending], claim=claim)
        except GatewayError as error:
            return Again(problem=f"the asynchronous endpoint did not take it: {error}")
        return Done() if handed else Again(problem=None)

    def finish(self, notification: Notification, *, sent_at: float, last_try: bool) -> Outcome:
        """Keep the results of a job that the endpoint is done with, or say why there are none.

        A job that nobody else will speak of any more fails with the last try to keep its results.

        Args:
            notification: What the endpoint says of it, or the reminder.
            sent_at: When that was, in seconds since 1970.
            last_try: Whether it does not come again.
        """
        outcome = self._finish(notification, sent_at)
        if last_try and notification.status == "overdue" and isinstance(outcome, Again) and outcome.problem:
            with suppress(GatewayError):  # it is overdue again in a quarter of an hour
                return fail(notification.job_id, outcome.problem, self.table)
        return outcome

    def _finish(self, notification: Notification, sent_at: float) -> Outcome:
        if not is_job_id(notification.job_id):
            return Done()  # another caller of the endpoint knows it
        try:
            job = self.table.read([notification.job_id]).get(notification.job_id)
            if job is None or job.job_status in ("succeeded", "failed"):
                return (failed_by(job, sent_at) if job else None) or Done()
            if job.claim != ASYNCHRONOUS:
                return Again(problem=None)  # the endpoint was faster than whoever handed the job over
            return self._keep(job, notification)
        except GatewayError as error:
            return Again(problem=str(error))

    def _keep(self, job: Job, notification: Notification) -> Outcome:
        said = self._left_by_endpoint(job) if notification.status == "overdue" else notification
        if said is None:
            return fail(job.job_id, _SILENCE, self.table)
        try:
            request = request_of(job, self.objects)
            answer = self.endpoint.answer(said, expected=len(request.texts))
        except InvalidRequestError as error:
            return fail(job.job_id, str(error), self.table)
        except RejectedError as error:
            return fail(job.job_id, error.cause, self.table)
        texts = classified_texts(answer.results, languages_of(request), {})
        results = results_of(job.job_id, answer.model_version, texts)
        outcome = self.keeper.keep([results], {job.job_id: request.texts}, claim=ASYNCHRONOUS)[job.job_id]
        return fail(job.job_id, outcome.problem, self.table) if isinstance(outcome, Refused) else outcome

    def _left_by_endpoint(self, job: Job) -> Notification | None:
        locations = Locations(output_url=str(job.output_url), failure_url=job.failure_url)
        return self.endpoint.found(job.job_id, locations)


def finish_without_endpoint(notification: Notification, table: JobTable) -> Outcome:
    """Let a job fail that an endpoint had which the queue no longer has, when a reminder comes of it."""
    if not is_job_id(notification.job_id):
        return Done()
    if notification.status != "overdue":
        return Refused(problem=_NO_ENDPOINT)
    try:
        return fail(notification.job_id, _NO_ENDPOINT, table)
    except GatewayError as error:
        return Again(problem=str(error))


def fail(job_id: str, problem: str, table: JobTable) -> Refused:
    """Let a job fail that an asynchronous endpoint has. Raises GatewayError."""
    ending = Ending(job_id=job_id, job_status="failed", updated_at=timestamp(datetime.now(UTC)), problem=problem)
    table.end([ending], claim=ASYNCHRONOUS)
    return Refused(problem=problem)
