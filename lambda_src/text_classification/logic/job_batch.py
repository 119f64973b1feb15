"""Working on several jobs at once: all their texts in one call of the model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from textprep import Language

from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.gateways.job_items import Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.gateways.model_endpoint import Classifier, ModelAnswer
from text_classification.gateways.preprocessor import Annotation, Annotator
from text_classification.logic.classification import (
    check_annotations,
    classified_texts,
    languages_of,
    start_annotating,
)
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Refused
from text_classification.logic.job_results import JobResults, ResultKeeper, results_of
from text_classification.logic.jobs import request_of, timestamp
from text_classification.logic.large_jobs import LargeJobs
from text_classification.logic.requests import (
    MAX_CHARACTERS_TOGETHER,
    MAX_TEXTS,
    ClassificationRequest,
    InvalidRequestError,
)

MAX_TEXTS_A_CALL = 10 * MAX_TEXTS
MAX_CHARACTERS_A_CALL = 5 * MAX_CHARACTERS_TOGETHER
"""What jobs are put together to, so that the model answers in time: this project's takes some seconds for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Size:
    payload_bytes: int = 0
    texts: int = 0
    characters: int = 0

    def __add__(self, other: _Size) -> _Size:
        return _Size(
            payload_bytes=self.payload_bytes + other.payload_bytes,
            texts=self.texts + other.texts,
            characters=self.characters + other.characters,
        )

    def within(self, *, payload_bytes: int, texts: int, characters: int) -> bool:
        return self.payload_bytes <= payload_bytes and self.texts <= texts and self.characters <= characters


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    job_id: str
    request: ClassificationRequest
    languages: Sequence[Language]
    size: _Size = field(init=False)

    def __post_init__(self) -> None:
        texts = self.request.texts
        payload = json.dumps({"texts": texts}, ensure_ascii=False)
        size = _Size(payload_bytes=len(payload.encode()), texts=len(texts), characters=sum(map(len, texts)))
        object.__setattr__(self, "size", size)


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
        max_payload_bytes: The most that the endpoint takes in one call.
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
    max_payload_bytes: int
    large_jobs: LargeJobs | None

    def work_on(self, receive_counts: Mapping[str, int]) -> Outcomes:
        """Return for each job what became of it. What is not done or refused already is not written down.

        Args:
            receive_counts: How often the job was handed out, by job.

        Raises:
            GatewayError: The table could not be read or written.
        """
        jobs = self.table.read(list(receive_counts))
        outcomes: dict[str, Outcome] = {job_id: Refused(problem="there is no such job") for job_id in receive_counts}
        open_jobs: dict[str, Job] = {}
        for job_id, job in jobs.items():
            if job.job_status == "succeeded":
                outcomes[job_id] = Done()
            elif job.job_status == "failed" and receive_counts[job_id] > 1:
                # On its way to the dead letters. Once it is driven back from there it is counted anew.
                outcomes[job_id] = Refused(problem=job.problem or "it failed before")
            else:
                open_jobs[job_id] = job
        claimed, taken = self._claim(open_jobs)
        work, unusable = self._load(claimed)
        outcomes |= {**taken, **unusable}
        for each in filter(self._is_large, work):
            outcomes |= self._hand_over(each)
        for group in self._groups(each for each in work if not self._is_large(each)):
            outcomes |= self._classify(group)
        return outcomes

    def _claim(self, jobs: Mapping[str, Job]) -> tuple[list[Job], Outcomes]:
        now = int(time.time())
        until = now + int(self.remaining_seconds()) + 1
        updated_at = timestamp(datetime.now(UTC))
        claimed = self.table.claim(list(jobs), claim=self.claim, now=now, until=until, updated_at=updated_at)
        taken = {
            job_id: Again(problem=None, seconds=max(1, job.free_at - now + 1))
            for job_id, job in jobs.items()
            if job_id not in claimed
        }
        return [jobs[job_id] for job_id in jobs if job_id in claimed], taken

    def _load(self, jobs: Sequence[Job]) -> tuple[list[_Work], Outcomes]:
        work: list[_Work] = []
        outcomes: dict[str, Outcome] = {}
        for job in jobs:
            try:
                request = request_of(job, self.objects)
                languages = languages_of(request)
                check_annotations(request, languages, self.annotators)
            except InvalidRequestError as error:
                outcomes[job.job_id] = Refused(problem=str(error))
            except GatewayError as error:
                outcomes[job.job_id] = Again(problem=f"the request could not be read: {error}")
            else:
                work.append(_Work(job_id=job.job_id, request=request, languages=languages))
        return work, outcomes

    def _groups(self, work: Iterable[_Work]) -> Iterator[list[_Work]]:
        """Yield jobs that fit into one call together; mostly that is all of them."""
        group: list[_Work] = []
        size = _Size()
        for each in work:
            if group and not self._is_one_call(size + each.size):
                yield group
                group, size = [], _Size()
            group.append(each)
            size += each.size
        if group:
            yield group

    def _is_one_call(self, size: _Size) -> bool:
        return size.within(
            payload_bytes=self.max_payload_bytes, texts=MAX_TEXTS_A_CALL, characters=MAX_CHARACTERS_A_CALL
        )

    def _is_large(self, work: _Work) -> bool:
        """Whether it is more than a caller of the API may send, which only files hold, or than the endpoint takes."""
        return not work.size.within(
            payload_bytes=self.max_payload_bytes, texts=MAX_TEXTS, characters=MAX_CHARACTERS_TOGETHER
        )

    def _classify(self, group: Sequence[_Work]) -> Outcomes:
        """Label jobs in one call. When the model refuses their texts, halve them until it is seen whose they are."""
        if self.remaining_seconds() < self.call_seconds:
            return {each.job_id: Again(problem="no time was left for it") for each in group}
        with ThreadPoolExecutor() as threads:
            annotations = [self._annotate(each, threads) for each in group]
            try:
                answer = self.classifier.classify([text for each in group for text in each.request.texts])
            except RejectedError as error:
                if len(group) == 1:
                    return {group[0].job_id: Refused(problem=error.cause)}
                middle = len(group) // 2
                return {**self._classify(group[:middle]), **self._classify(group[middle:])}
            except GatewayError as error:
                return {each.job_id: Again(problem=str(error)) for each in group}
            results, outcomes = _results(group, answer, annotations)
        return {**outcomes, **self._keep(results, {each.job_id: each.request.texts for each in group})}

    def _hand_over(self, work: _Work) -> Outcomes:
        """Let the asynchronous endpoint have a large job."""
        if self.large_jobs is not None:
            return {work.job_id: self.large_jobs.hand_over(work.job_id, work.request.texts, claim=self.claim)}
        size = work.size
        problem = (
            f"it has {size.texts:,} texts of {size.characters:,} characters, {size.payload_bytes:,} bytes: without an "
            f"asynchronous endpoint a job has at most {MAX_TEXTS:,} texts, at most {MAX_CHARACTERS_TOGETHER:,} "
            f"characters and at most {self.max_payload_bytes:,} bytes"
        )
        return {work.job_id: Refused(problem=problem)}

    def _annotate(self, work: _Work, threads: Executor) -> Callable[[], Mapping[int, Annotation]]:
        return start_annotating(work.request, work.languages, self.annotators, threads)

    def _keep(self, results: Sequence[JobResults], texts: Mapping[str, Sequence[str]]) -> Outcomes:
        try:
            kept = self.keeper.keep(results, texts, claim=self.claim)
        except GatewayError as error:
            return {each.job_id: Again(problem=f"the results could not be kept: {error}") for each in results}
        return {each.job_id: Done() if each.job_id in kept else Again(problem=None) for each in results}


def _results(
    group: Sequence[_Work], answer: ModelAnswer, annotations: Sequence[Callable[[], Mapping[int, Annotation]]]
) -> tuple[list[JobResults], Outcomes]:
    """Give each job its part of the model's answer; a job whose annotations are missing has none yet."""
    remaining = iter(answer.results)
    results: list[JobResults] = []
    outcomes: dict[str, Outcome] = {}
    for work, annotated in zip(group, annotations, strict=True):
        labels = [next(remaining) for _ in work.request.texts]
        try:
            texts = classified_texts(labels, work.languages, annotated())
        except GatewayError as error:
            outcomes[work.job_id] = Again(problem=str(error))
        else:
            results.append(results_of(work.job_id, answer.model_version, texts))
    return results, outcomes
