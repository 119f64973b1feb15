"""Jobs that are too large for one call of the model: an asynchronous endpoint labels their texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import AsynchronousEndpoint, Notification
from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.gateways.job_items import Ending
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.classification import classified_texts, languages_of
from text_classification.logic.job_outcomes import Again, Done, Outcome, Refused
from text_classification.logic.job_results import ResultKeeper, results_of
from text_classification.logic.jobs import request_of, timestamp

CLAIM = "asynchronous"
_LONGEST_SECONDS = 7 * 60 * 60
"""A request waits for six hours at most, unless told otherwise, and is worked on for one at most:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LargeJobs:
    """Hands large jobs over and finishes them.

    The endpoint's notifications come as messages of the same queue, so that they are as little lost as jobs.

    Args:
        endpoint: The endpoint.
        table: The jobs.
        objects: Their requests.
        keeper: Keeps their results.
    """

    endpoint: AsynchronousEndpoint
    table: JobTable
    objects: JobObjects
    keeper: ResultKeeper

    def hand_over(self, job_id: str, texts: Sequence[str], *, claim: str) -> Outcome:
        """Let the endpoint have a job that was claimed; it is running until the endpoint says something."""
        ending = Ending(
            job_id=job_id,
            job_status="running",
            updated_at=timestamp(datetime.now(UTC)),
            claim=CLAIM,
            free_at=int(time.time()) + _LONGEST_SECONDS,
        )
        try:
            self.endpoint.hand_over(job_id, texts)
            handed = self.table.end([ending], claim=claim)
        except GatewayError as error:
            return Again(problem=f"the asynchronous endpoint did not take it: {error}")
        return Done() if handed else Again(problem=None)

    def finish(self, notification: Notification) -> Outcome:
        """Keep the results of a job that the endpoint is done with, or say why there are none."""
        job_id = notification.job_id
        try:
            job = self.table.read([job_id]).get(job_id)
            if job is None or job.job_status in ("succeeded", "failed"):
                return Done()  # told before, or of no interest any more
            if job.claim != CLAIM:
                return Again(problem=None)  # the endpoint was faster than whoever handed the job over
            request = request_of(job, self.objects)
            try:
                answer = self.endpoint.answer(notification, expected=len(request.texts))
            except RejectedError as error:
                return self._fail(job_id, error.cause)
            texts = classified_texts(answer.results, languages_of(request), {})
            results = results_of(job_id, answer.model_version, texts)
            self.keeper.keep([results], {job_id: request.texts}, claim=CLAIM)
        except GatewayError as error:
            return Again(problem=str(error))
        return Done()

    def _fail(self, job_id: str, problem: str) -> Outcome:
        ending = Ending(
            job_id=job_id, job_status="failed", updated_at=timestamp(datetime.now(UTC)), problem=problem[:500]
        )
        self.table.end([ending], claim=CLAIM)
        return Refused(problem=problem)
