"""Working on several jobs at once: all their texts in one call of the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from textprep import Language

from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.gateways.job_items import ASYNCHRONOUS, Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable, chunks
from text_classification.gateways.model_endpoint import Classifier, ModelAnswer
from text_classification.gateways.preprocessor import Annotation, Annotator
from text_classification.logic.classification import (
    check_annotations,
    classified_texts,
    languages_of,
    start_annotating,
)
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Postponed, Refused, failed_by
from text_classification.logic.job_results import JobResults, ResultKeeper, results_of
from text_classification.logic.job_work import Size, Work, together
from text_classification.logic.jobs import request_of, timestamp
from text_classification.logic.large_jobs import LargeJobs
from text_classification.logic.requests import (
    MAX_CHARACTERS_TOGETHER,
    MAX_TEXTS,
    InvalidRequestError,
)

CHARACTERS_A_TEXT = 1_000
"""How many characters jobs are put together to, by the texts that a call may have."""

_NO_TIME = "no time was left for it"
_LATE = Again(problem=_NO_TIME)
_NOT_CLAIMED = Postponed(problem=None)
_UNSOLVED = Again(problem="no time was left to find out whose texts the model refused")
_THREADS = 10
_ANNOTATOR_CALLS = 20
"""At the same time, so that all of them take no longer than one may: those of ten jobs in two languages."""
_JOBS_IN_MEMORY = 500
_TEXTS_IN_MEMORY = 1_000
"""The items of so many jobs are read at once, and the texts of so many, or of one larger job: memory is for that."""

_Annotations = Callable[[], Mapping[int, Annotation]]
"""Waits for the annotations of a job's texts, and returns them by the text's index."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """How a job came to be worked on.

    Args:
        receive_count: How often its message was handed out.
        sent_at: When that was sent, in seconds since 1970.
    """

    receive_count: int
    sent_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """Works on jobs.

    Args:
        table: The jobs.
        objects: Their requests.
        keeper: Keeps their results.
        classifier: Labels texts.
        annotators: Annotate the texts of a language.
        claim: What tells this invocation from all others.
        remaining_seconds: Tells how long this invocation may still run.
        call_seconds: What must remain of that for a call of the model and for keeping its results.
        keep_seconds: What of that is for keeping results, or for handing a job over.
        max_payload_bytes: The most that the endpoint takes in one call.
        max_texts_per_call: How many texts jobs are put together to, so that the model answers in time.
        alone_after: A job that was handed out more often than that goes in a call of its own.
        retention_seconds: How long a job is remembered that was driven back, from then on.
        large_jobs: Has an endpoint for jobs that are larger than that. None: there is none, and they are refused.
    """

    table: JobTable
    objects: JobObjects
    keeper: ResultKeeper
    classifier: Classifier
    annotators: Mapping[Language, Annotator]
    claim: str
    remaining_seconds: Callable[[], float]
    call_seconds: float
    keep_seconds: float
    max_payload_bytes: int
    max_texts_per_call: int
    alone_after: int
    retention_seconds: int
    large_jobs: LargeJobs | None

    def work_on(self, deliveries: Mapping[str, Delivery]) -> Outcomes:
        """Return for each job what became of it. What is not done or refused already is not written down.

        Args:
            deliveries: How it came, by job.

        Raises:
            GatewayError: The table could not be read or written.
        """
        outcomes: dict[str, Outcome] = {}
        claimed: set[str] = set()
        # First those that were tried most, since what there is no time for is counted anew: so each comes to its end.
        for some in chunks(sorted(deliveries, key=lambda job_id: -deliveries[job_id].receive_count), _JOBS_IN_MEMORY):
            open_jobs, settled = self._open({job_id: deliveries[job_id] for job_id in some})
            jobs, others = self._claim(open_jobs)
            outcomes |= {**settled, **others}
            claimed |= {job.job_id for job in jobs}
            alone = [job for job in jobs if deliveries[job.job_id].receive_count > self.alone_after]
            self._work_on(alone, jobs[len(alone) :], outcomes)
        late = {job_id for job_id, outcome in outcomes.items() if outcome == _LATE}
        if claimed - late:
            return {**outcomes, **dict.fromkeys(late, Postponed(problem=_NO_TIME))}
        # No job took the others' time: what is not even begun by itself has used up a try, or it would come for ever.
        return {job_id: Again(problem=None) if each == _NOT_CLAIMED else each for job_id, each in outcomes.items()}

    def _work_on(self, alone: Sequence[Job], others: Sequence[Job], outcomes: dict[str, Outcome]) -> None:
        for work in self._loaded(alone, outcomes):
            outcomes |= self._classify([work])
        for some in ([job for job in others if not _is_large(job)], list(filter(_is_large, others))):
            for group in together(self._loaded(some, outcomes), lambda each: each.size, self._is_one_call):
                outcomes |= self._classify(group)

    def _open(self, deliveries: Mapping[str, Delivery]) -> tuple[list[Job], Outcomes]:
        """Return the jobs that are to be worked on, in that order, and what is to become of all others."""
        jobs = self.table.read(list(deliveries))
        settled: dict[str, Outcome] = {}
        open_jobs: list[Job] = []
        for job_id, delivery in deliveries.items():
            job = jobs.get(job_id)
            if job is None:
                settled[job_id] = Refused(problem="there is no such job")
            elif job.job_status == "succeeded" or (job.claim == ASYNCHRONOUS and job.job_status == "running"):
                settled[job_id] = Done()  # or it will be, without this message
            elif failure := failed_by(job, delivery.sent_at):
                settled[job_id] = failure
            elif job.job_status == "failed":  # and was driven back
                forgotten_at = int(time.time()) + self.retention_seconds
                open_jobs.append(replace(job, expires_at=max(job.expires_at, forgotten_at), hand_overs=0))
            else:
                open_jobs.append(job)
        return open_jobs, settled

    def _claim(self, jobs: Sequence[Job]) -> tuple[list[Job], Outcomes]:
        """Return the jobs that this consumer has now, and what is to become of those that another one has."""
        remaining = self.remaining_seconds()
        feasible = [job for job in jobs if remaining >= self._needed_seconds(job)]
        now = int(time.time())
        until = now + int(remaining) + 1
        updated_at = timestamp(datetime.now(UTC))
        claimed = self.table.claim(feasible, claim=self.claim, now=now, until=until, updated_at=updated_at)
        others: dict[str, Outcome] = {job.job_id: _NOT_CLAIMED for job in jobs if remaining < self._needed_seconds(job)}
        others |= {
            job.job_id: Again(problem=None, seconds=max(1, job.free_at - now + 1))
            for job in feasible
            if job.job_id not in claimed
        }
        return [job for job in feasible if job.job_id in claimed], others

    def _loaded(self, jobs: Iterable[Job], outcomes: dict[str, Outcome]) -> Iterator[Work]:
        """Yield jobs to be labelled in a call, reading a few ahead; all others get their outcome."""
        with ThreadPoolExecutor(_THREADS) as threads:
            for some in together(jobs, lambda job: Size(texts=job.texts), lambda size: size.texts <= _TEXTS_IN_MEMORY):
                for job, loaded in zip(some, threads.map(self._load, some), strict=True):
                    if not isinstance(loaded, Work):
                        outcomes[job.job_id] = loaded
                    elif self._is_larger_than_a_call(loaded.size):
                        outcomes[job.job_id] = self._hand_over(job, loaded)
                        del loaded  # before the next one is read
                    else:
                        yield loaded

    def _load(self, job: Job) -> Work | Outcome:
        if self.remaining_seconds() < self._needed_seconds(job):
            return _LATE
        try:
            request = request_of(job, self.objects)
            languages = languages_of(request)
            check_annotations(request, languages, self.annotators)
        except InvalidRequestError as error:
            return Refused(problem=str(error))
        except GatewayError as error:
            return Again(problem=f"the request could not be read: {error}")
        return Work(job_id=job.job_id, request=request, languages=languages)

    def _needed_seconds(self, job: Job) -> float:
        return self.keep_seconds if _is_large(job) else self.call_seconds

    def _is_one_call(self, size: Size) -> bool:
        return size.within(
            Size(
                payload_bytes=self.max_payload_bytes,
                texts=self.max_texts_per_call,
                characters=self.max_texts_per_call * CHARACTERS_A_TEXT,
                annotator_calls=_ANNOTATOR_CALLS,
            )
        )

    def _is_larger_than_a_call(self, size: Size) -> bool:
        """Whether it is more than a caller of the API may send, which only files hold, or than the endpoint takes."""
        return not size.within(
            Size(
                payload_bytes=self.max_payload_bytes,
                texts=MAX_TEXTS,
                characters=MAX_CHARACTERS_TOGETHER,
                annotator_calls=_ANNOTATOR_CALLS,
            )
        )

    def _classify(self, group: Sequence[Work]) -> Outcomes:
        if self.remaining_seconds() < self.call_seconds:
            return {each.job_id: _LATE for each in group}
        with ThreadPoolExecutor(_ANNOTATOR_CALLS) as threads:
            return self._label(
                [(each, start_annotating(each.request, each.languages, self.annotators, threads)) for each in group]
            )

    def _label(self, group: Sequence[tuple[Work, _Annotations]]) -> Outcomes:
        """Label jobs in one call. When the model refuses their texts, halve them until it is seen whose they are."""
        try:
            answer = self.classifier.classify([text for work, _ in group for text in work.request.texts])
        except RejectedError as error:
            if len(group) == 1:
                return {group[0][0].job_id: Refused(problem=error.cause)}
            middle = len(group) // 2
            return {**self._label_in_time(group[:middle]), **self._label_in_time(group[middle:])}
        except GatewayError as error:
            return {work.job_id: Again(problem=str(error)) for work, _ in group}
        results, outcomes = _results(group, answer)
        return {**outcomes, **self._keep(results, {work.job_id: work.request.texts for work, _ in group})}

    def _label_in_time(self, half: Sequence[tuple[Work, _Annotations]]) -> Outcomes:
        if self.remaining_seconds() < self.call_seconds:
            return {work.job_id: _UNSOLVED for work, _ in half}
        return self._label(half)

    def _hand_over(self, job: Job, work: Work) -> Outcome:
        """Let the asynchronous endpoint have a large job."""
        if self.remaining_seconds() < self.keep_seconds:
            return _LATE
        if self.large_jobs is not None:
            return self.large_jobs.hand_over(job, work.request.texts, claim=self.claim)
        size = work.size
        return Refused(
            problem=f"it has {size.texts:,} texts of {size.characters:,} characters, {size.payload_bytes:,} bytes: "
            f"without an asynchronous endpoint a job has at most {MAX_TEXTS:,} texts, at most "
            f"{MAX_CHARACTERS_TOGETHER:,} characters and at most {self.max_payload_bytes:,} bytes"
        )

    def _keep(self, results: Sequence[JobResults], texts: Mapping[str, Sequence[str]]) -> Outcomes:
        try:
            return self.keeper.keep(results, texts, claim=self.claim)
        except GatewayError as error:
            return {each.job_id: Again(problem=f"the results could not be kept: {error}") for each in results}


def _is_large(job: Job) -> bool:
    """Whether a job is for the asynchronous endpoint by its number of texts; it may be by their length as well."""
    return job.texts > MAX_TEXTS


def _results(group: Sequence[tuple[Work, _Annotations]], answer: ModelAnswer) -> tuple[list[JobResults], Outcomes]:
    """Give each job its part of the model's answer; a job whose annotations are missing has none yet."""
    remaining = iter(answer.results)
    results: list[JobResults] = []
    outcomes: dict[str, Outcome] = {}
    for work, annotated in group:
        labels = [next(remaining) for _ in work.request.texts]
        try:
            texts = classified_texts(labels, work.languages, annotated())
        except GatewayError as error:
            outcomes[work.job_id] = Again(problem=str(error))
        else:
            results.append(results_of(work.job_id, answer.model_version, texts))
    return results, outcomes
