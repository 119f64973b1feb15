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
from text_classification.gateways.job_items import ASYNCHRONOUS, Ending, Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.classification import classified_texts, languages_of
from text_classification.logic.job_outcomes import Again, Done, Outcome, Refused
from text_classification.logic.job_results import ResultKeeper, results_of
from text_classification.logic.jobs import request_of, timestamp

_SILENCE = "the asynchronous endpoint said nothing of it in time, and left neither an answer nor an error in S3"


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

    def finish(self, notification: Notification, *, last_try: bool) -> Outcome:
        """Keep the results of a job that the endpoint is done with, or say why there are none.

        A job that nobody else will speak of any more fails with the last try to keep its results.
        """
        outcome = self._finish(notification)
        if last_try and notification.status == "overdue" and isinstance(outcome, Again) and outcome.problem:
            with suppress(GatewayError):  # it is overdue again in a quarter of an hour
                return self._fail(notification.job_id, outcome.problem)
        return outcome

    def _finish(self, notification: Notification) -> Outcome:
        job_id = notification.job_id
        try:
            job = self.table.read([job_id]).get(job_id)
            if job is None or job.job_status in ("succeeded", "failed"):
                return Done()  # told before, or of no interest any more
            if job.claim != ASYNCHRONOUS:
                return Again(problem=None)  # the endpoint was faster than whoever handed the job over
            said = self._left_by_endpoint(job) if notification.status == "overdue" else notification
            if said is None:
                return self._fail(job_id, _SILENCE)
            request = request_of(job, self.objects)
            try:
                answer = self.endpoint.answer(said, expected=len(request.texts))
            except RejectedError as error:
                return self._fail(job_id, error.cause)
            texts = classified_texts(answer.results, languages_of(request), {})
            results = results_of(job_id, answer.model_version, texts)
            return self.keeper.keep([results], {job_id: request.texts}, claim=ASYNCHRONOUS)[job_id]
        except GatewayError as error:
            return Again(problem=str(error))

    def _left_by_endpoint(self, job: Job) -> Notification | None:
        locations = Locations(output_url=str(job.output_url), failure_url=job.failure_url)
        return self.endpoint.found(job.job_id, locations)

    def _fail(self, job_id: str, problem: str) -> Outcome:
        ending = Ending(
            job_id=job_id, job_status="failed", updated_at=timestamp(datetime.now(UTC)), problem=problem[:500]
        )
        self.table.end([ending], claim=ASYNCHRONOUS)
        return Refused(problem=problem)
