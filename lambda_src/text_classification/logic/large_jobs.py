"""Jobs that are too large for one call of the model: an asynchronous endpoint labels their texts.

It tells a topic when it is done, and the topic the queue. A job that it does not speak of in time is looked after:
a reminder in the same queue lets the consumer see what the endpoint left in S3. A job that failed by what may pass is
queued again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import (
    AsynchronousEndpoint,
    Locations,
    Notification,
    new_inference_id,
)
from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.gateways.job_items import ASYNCHRONOUS, Ending, Job, is_job_id
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_queue import JobQueue, body_of
from text_classification.gateways.job_table import JobTable
from text_classification.logic.classification import classified_texts, languages_of
from text_classification.logic.job_outcomes import Again, Done, Outcome, Postponed, Refused, failed_by
from text_classification.logic.job_results import ResultKeeper, results_of
from text_classification.logic.job_retries import Retries
from text_classification.logic.jobs import request_of, timestamp
from text_classification.logic.requests import InvalidRequestError

_SILENCE = "the asynchronous endpoint said nothing of it in time, and left neither an answer nor an error in S3"
_MISSED_SECONDS = 4 * 60 * 60
"""After how long a job that was queued again gets another message, for the first may not have been sent."""
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
        queue: Where they wait to be handed over again.
        retries: How often they are, and when.
        timeout_seconds: How long the endpoint may have a job before it is looked after.
    """

    endpoint: AsynchronousEndpoint
    table: JobTable
    objects: JobObjects
    keeper: ResultKeeper
    queue: JobQueue
    retries: Retries
    timeout_seconds: int

    def hand_over(self, job: Job, texts: Sequence[str], *, claim: str) -> Outcome:
        """Let the endpoint have a job that was claimed; it is running until the endpoint says something."""
        free_at = int(time.time()) + self.timeout_seconds
        inference_id = new_inference_id(job.job_id)
        try:
            locations = self.endpoint.hand_over(job.job_id, texts, inference_id=inference_id)
            ending = Ending(
                job_id=job.job_id,
                job_status="running",
                updated_at=timestamp(datetime.now(UTC)),
                claim=ASYNCHRONOUS,
                free_at=free_at,
                overdue_at=free_at,
                output_url=locations.output_url,
                failure_url=locations.failure_url,
                inference_id=inference_id,
                hand_overs=job.hand_overs + 1,
            )
            handed = self.table.end([ending], claim=claim)
        except GatewayError as error:
            return Again(problem=f"the asynchronous endpoint did not take it: {error}")
        return Done() if handed else Again(problem=None)

    def finish(self, notification: Notification, *, sent_at: float, time_left: bool, last_try: bool) -> Outcome:
        """Keep the results of a job that the endpoint is done with, queue it again, or say why it has none.

        A job that nobody else will speak of any more fails with the last try to keep its results.

        Args:
            notification: What the endpoint says of it, or the reminder.
            sent_at: When that was, in seconds since 1970.
            time_left: Whether there is time to keep results.
            last_try: Whether it does not come again.
        """
        try:
            job = _job_of(notification, self.table)
            settled = _settled(job, notification, sent_at, self.queue) if job else Done()
        except GatewayError as error:
            return Again(problem=str(error))
        if job is None or settled is not None:
            return settled or Done()
        if not time_left:
            return Postponed(problem=None)
        try:
            outcome = self._finish(job, notification)
        except GatewayError as error:
            outcome = Again(problem=str(error))
        return self._given_up(outcome, notification) if last_try and isinstance(outcome, Again) else outcome

    def _finish(self, job: Job, notification: Notification) -> Outcome:
        """Finish a job that has not ended, or that has an answer all the same. Raises GatewayError."""
        if job.job_status == "running":
            if job.claim == ASYNCHRONOUS:
                return self._keep(job, notification)
            return Again(problem=None)  # the endpoint was faster than whoever handed the job over
        # It was queued again, or has failed, before this answer came.
        now = int(time.time())
        until, updated_at = now + self.timeout_seconds, timestamp(datetime.now(UTC))
        job = replace(job, inference_id=notification.inference_id, output_url=notification.output_url)
        claimed = self.table.claim(
            [job], claim=ASYNCHRONOUS, now=now, until=until, updated_at=updated_at, overdue_at=until
        )
        return self._keep(job, notification) if claimed else Again(problem=None)

    def _given_up(self, outcome: Again, notification: Notification) -> Outcome:
        if outcome.problem is None:
            return Postponed(problem=None)
        if notification.status == "overdue":
            with suppress(GatewayError):  # it is overdue again in a quarter of an hour
                return fail(notification.job_id, outcome.problem, self.table)
        return outcome

    def _keep(self, job: Job, notification: Notification) -> Outcome:
        said = self._left_by_endpoint(job) if notification.status == "overdue" else notification
        if said is None:
            return fail(job.job_id, _SILENCE, self.table)
        if said.output_url is None:
            problem = f"the model failed: {said.failure}"
            # Where nobody hears the endpoint, another try would take as long to come to an end as this one has.
            final = said is not notification or said.is_refusal or self.retries.is_last(job.hand_overs)
            return self._fail(job, notification, problem) if final else self._hand_back(job, problem)
        try:
            request = request_of(job, self.objects)
            answer = self.endpoint.answer(said.output_url, expected=len(request.texts))
        except InvalidRequestError as error:
            return self._fail(job, notification, str(error))
        except RejectedError as error:
            return self._fail(job, notification, error.cause)
        texts = classified_texts(answer.results, languages_of(request), {})
        results = results_of(job.job_id, answer.model_version, texts)
        outcome = self.keeper.keep([results], {job.job_id: request.texts}, claim=ASYNCHRONOUS)[job.job_id]
        return self._fail(job, notification, outcome.problem) if isinstance(outcome, Refused) else outcome

    def _fail(self, job: Job, notification: Notification, problem: str) -> Outcome:
        """Let a job fail by what a call says. By one that is not its last it does not: that one has yet to speak."""
        if not notification.is_of(job.inference_id):
            return Done()
        told = notification.inference_id if notification.status == "told" else None
        return fail(job.job_id, problem, self.table, inference_id=told)

    def _hand_back(self, job: Job, problem: str) -> Outcome:
        """Queue a job again, for another call of the endpoint. Raises GatewayError."""
        ending = Ending(
            job_id=job.job_id,
            job_status="queued",
            updated_at=timestamp(datetime.now(UTC)),
            problem=problem,
            overdue_at=int(time.time()) + _MISSED_SECONDS,
        )
        if self.table.end([ending], claim=ASYNCHRONOUS):
            self.queue.send_bodies([body_of(job.job_id)], delay_seconds=self.retries.pause(job.hand_overs))
        return Done()

    def _left_by_endpoint(self, job: Job) -> Notification | None:
        locations = Locations(output_url=str(job.output_url), failure_url=job.failure_url)
        return self.endpoint.found(str(job.inference_id), locations)


def finish_without_endpoint(notification: Notification, *, sent_at: float, table: JobTable, queue: JobQueue) -> Outcome:
    """Let a job fail that an endpoint had which the queue no longer has, when a reminder comes of it."""
    try:
        job = _job_of(notification, table)
        if job is None:
            return Done()
        if settled := _settled(job, notification, sent_at, queue):
            return settled
        overdue = notification.status == "overdue"
        return fail(notification.job_id, _NO_ENDPOINT, table) if overdue else Refused(problem=_NO_ENDPOINT)
    except GatewayError as error:
        return Again(problem=str(error))


def _job_of(notification: Notification, table: JobTable) -> Job | None:
    """Return whose input a notification is about; None if it is another caller's. Raises GatewayError."""
    job_id = notification.job_id
    return table.read([job_id]).get(job_id) if is_job_id(job_id) else None


def _settled(job: Job, notification: Notification, sent_at: float, queue: JobQueue) -> Outcome | None:
    """Return what becomes of a message that nobody waits for. None: what it says counts. Raises GatewayError.

    One by which its job failed, and which was driven back, queues the job to be tried as often as at first.
    """
    if job.job_status == "succeeded":
        return Done()
    if _counts(notification, job):
        return None
    by_it = notification.status == "overdue" or notification.inference_id == job.inference_id
    if job.job_status == "failed" and by_it:
        if failure := failed_by(job, sent_at):
            return failure
        queue.send([job.job_id])
    return Done()


def _counts(notification: Notification, job: Job) -> bool:
    handed_over = job.job_status == "running" and job.claim == ASYNCHRONOUS
    if notification.status == "overdue":
        return handed_over and job.free_at <= time.time()
    if notification.output_url is not None:
        return job.job_status != "failed" or notification.inference_id != job.inference_id
    # While a consumer has the job, nobody knows yet which call it makes.
    return job.job_status == "running" and (not handed_over or notification.is_of(job.inference_id))


def fail(job_id: str, problem: str, table: JobTable, *, inference_id: str | None = None) -> Refused:
    """Let a job fail that an asynchronous endpoint has. Raises GatewayError.

    Args:
        job_id: The job.
        problem: Why.
        table: The jobs.
        inference_id: The call by whose word it fails. When omitted: by none, and its call is written off, so that what
            that says later is not taken for a dead letter that was driven back.
    """
    ending = Ending(
        job_id=job_id,
        job_status="failed",
        updated_at=timestamp(datetime.now(UTC)),
        problem=problem,
        inference_id=inference_id or new_inference_id(job_id),
    )
    table.end([ending], claim=ASYNCHRONOUS)
    return Refused(problem=problem)
