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
from text_classification.gateways.job_items import ASYNCHRONOUS, Job
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
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Postponed, Refused
from text_classification.logic.job_results import JobResults, ResultKeeper, results_of
from text_classification.logic.jobs import request_of, seconds_of, timestamp
from text_classification.logic.large_jobs import LargeJobs
from text_classification.logic.requests import (
    MAX_CHARACTERS_TOGETHER,
    MAX_TEXTS,
    ClassificationRequest,
    InvalidRequestError,
)

CHARACTERS_A_TEXT = 1_000
"""How many characters jobs are put together to, by the texts that a call may have."""

_NO_TIME = "no time was left for it"
_LATE = Again(problem=_NO_TIME)
_UNSOLVED = Again(problem="no time was left to find out whose texts the model refused")
_THREADS = 10


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
    large_jobs: LargeJobs | None

    def work_on(self, deliveries: Mapping[str, Delivery]) -> Outcomes:
        """Return for each job what became of it. What is not done or refused already is not written down.

        Args:
            deliveries: How it came, by job.

        Raises:
            GatewayError: The table could not be read or written.
        """
        jobs = self.table.read(list(deliveries))
        outcomes: dict[str, Outcome] = {job_id: Refused(problem="there is no such job") for job_id in deliveries}
        open_jobs: dict[str, Job] = {}
        for job_id, job in jobs.items():
            if job.job_status == "succeeded" or (job.claim == ASYNCHRONOUS and job.job_status == "running"):
                outcomes[job_id] = Done()  # or it will be, without this message
            elif job.job_status == "failed" and deliveries[job_id].sent_at <= seconds_of(job.updated_at):
                # On its way to the dead letters. What is driven back from there is a new message.
                outcomes[job_id] = Refused(problem=job.problem or "it failed before")
            else:
                open_jobs[job_id] = job
        claimed, taken = self._claim(open_jobs)
        work, unusable = self._load(claimed)
        outcomes |= {**taken, **unusable}
        for each in filter(self._is_large, work):
            outcomes |= self._hand_over(each)
        together = [each for each in work if not self._is_large(each)]
        together.sort(key=lambda each: -deliveries[each.job_id].receive_count)
        alone = [each for each in together if deliveries[each.job_id].receive_count > self.alone_after]
        # First those that were tried most, since what there is no time for is counted anew: so each comes to its end.
        for group in [*([each] for each in alone), *self._groups(together[len(alone) :])]:
            outcomes |= self._classify(group)
        if any(outcomes[each.job_id] != _LATE for each in work):
            outcomes |= {job_id: Postponed(problem=_NO_TIME) for job_id, each in outcomes.items() if each == _LATE}
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
        with ThreadPoolExecutor(_THREADS) as threads:
            loaded = dict(zip((job.job_id for job in jobs), threads.map(self._loaded, jobs), strict=True))
        work = [each for each in loaded.values() if isinstance(each, _Work)]
        return work, {job_id: each for job_id, each in loaded.items() if not isinstance(each, _Work)}

    def _loaded(self, job: Job) -> _Work | Outcome:
        if self.remaining_seconds() < self.keep_seconds:
            return _LATE
        try:
            request = request_of(job, self.objects)
            languages = languages_of(request)
            check_annotations(request, languages, self.annotators)
        except InvalidRequestError as error:
            return Refused(problem=str(error))
        except GatewayError as error:
            return Again(problem=f"the request could not be read: {error}")
        return _Work(job_id=job.job_id, request=request, languages=languages)

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
            payload_bytes=self.max_payload_bytes,
            texts=self.max_texts_per_call,
            characters=self.max_texts_per_call * CHARACTERS_A_TEXT,
        )

    def _is_large(self, work: _Work) -> bool:
        """Whether it is more than a caller of the API may send, which only files hold, or than the endpoint takes."""
        return not work.size.within(
            payload_bytes=self.max_payload_bytes, texts=MAX_TEXTS, characters=MAX_CHARACTERS_TOGETHER
        )

    def _classify(self, group: Sequence[_Work], *, late: Again = _LATE) -> Outcomes:
        """Label jobs in one call. When the model refuses their texts, halve them until it is seen whose they are."""
        if self.remaining_seconds() < self.call_seconds:
            return {each.job_id: late for each in group}
        with ThreadPoolExecutor() as threads:
            annotations = [self._annotate(each, threads) for each in group]
            try:
                answer = self.classifier.classify([text for each in group for text in each.request.texts])
            except RejectedError as error:
                if len(group) == 1:
                    return {group[0].job_id: Refused(problem=error.cause)}
                middle = len(group) // 2
                first, second = (self._classify(half, late=_UNSOLVED) for half in (group[:middle], group[middle:]))
                return {**first, **second}
            except GatewayError as error:
                return {each.job_id: Again(problem=str(error)) for each in group}
            results, outcomes = _results(group, answer, annotations)
        return {**outcomes, **self._keep(results, {each.job_id: each.request.texts for each in group})}

    def _hand_over(self, work: _Work) -> Outcomes:
        """Let the asynchronous endpoint have a large job."""
        if self.remaining_seconds() < self.keep_seconds:
            return {work.job_id: _LATE}
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
            return self.keeper.keep(results, texts, claim=self.claim)
        except GatewayError as error:
            return {each.job_id: Again(problem=f"the results could not be kept: {error}") for each in results}


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
