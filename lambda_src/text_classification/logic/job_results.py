"""The results of a job: kept once, whoever works on it and however often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from textprep import Language

from text_classification.gateways.errors import RejectedError
from text_classification.gateways.job_items import Ending
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.gateways.result_database import ClassificationRow, ResultStore
from text_classification.logic.classification import ClassifiedText
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Refused
from text_classification.logic.jobs import RESULTS_PREFIX, timestamp

_THREADS = 10


class TextResult(BaseModel):
    """What is known of one text."""

    model_config = ConfigDict(frozen=True)

    label: str
    score: float
    scores: dict[str, float]
    language: Language
    annotations: dict[str, Any] | None


class JobResults(BaseModel):
    """The object in S3 that holds what is known of each text of a job, in the order they were sent."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    job_id: str
    model_version: str
    classified_at: datetime
    results: list[TextResult]

    @property
    def key(self) -> str:
        return f"{RESULTS_PREFIX}{self.job_id}.json"

    def rows(self, texts: Sequence[str]) -> Iterator[ClassificationRow]:
        """Yield a row for each of the texts, which are those of the job."""
        for index, (text, result) in enumerate(zip(texts, self.results, strict=True)):
            yield ClassificationRow(
                job_id=self.job_id,
                text_index=index,
                text=text,
                label=result.label,
                score=result.score,
                scores=result.scores,
                language=result.language,
                model_version=self.model_version,
                classified_at=self.classified_at,
            )


def results_of(job_id: str, model_version: str, texts: Sequence[ClassifiedText]) -> JobResults:
    """Return the results of a job, made now."""
    return JobResults(
        job_id=job_id,
        model_version=model_version,
        classified_at=datetime.now(UTC),
        results=[
            TextResult(
                **text.result.model_dump(),
                language=text.language,
                annotations=None if text.annotations is None else dict(text.annotations),
            )
            for text in texts
        ],
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultKeeper:
    """Keeps results: first the objects, then the rows, and last the jobs' items, which announces them.

    Whoever dies in between is followed by another, who finds the first one's object and goes on from there.

    Args:
        table: The jobs.
        objects: Where the results go.
        database: Keeps a row for each text. None: there is none.
    """

    table: JobTable
    objects: JobObjects
    database: ResultStore | None

    def keep(self, results: Sequence[JobResults], texts: Mapping[str, Sequence[str]], *, claim: str) -> Outcomes:
        """Keep the results of jobs and return what became of each.

        Args:
            results: Of each job.
            texts: The jobs' texts, by job.
            claim: Who works on them.

        Raises:
            GatewayError: Not all is kept, and may be kept again.
        """
        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(self._write, results))
        written = [each for each in found if each is not None]
        strange: Outcomes = {
            each.job_id: Refused(problem=f"{each.key} holds something else than its results: remove the object")
            for each, kept in zip(results, found, strict=True)
            if kept is None
        }
        refused = {**strange, **self._save({each.job_id: list(each.rows(texts[each.job_id])) for each in written})}
        now = timestamp(datetime.now(UTC))
        ended = self.table.end(
            [
                Ending(
                    job_id=each.job_id,
                    job_status="succeeded",
                    updated_at=now,
                    result_key=each.key,
                    model_version=each.model_version,
                )
                for each in written
                if each.job_id not in refused
            ],
            claim=claim,
        )
        lost: Outcomes = {each.job_id: Again(problem=None) for each in results}  # somebody else has it now
        return {**lost, **{job_id: Done() for job_id in ended}, **refused}

    def _save(self, rows: Mapping[str, Sequence[ClassificationRow]]) -> Outcomes:
        """Save the rows of jobs. When the database refuses them, each job's by themselves: it may refuse just one's."""
        if self.database is None:
            return {}
        try:
            self.database.save([row for each in rows.values() for row in each])
        except RejectedError as error:
            if len(rows) == 1:
                return dict.fromkeys(rows, Again(problem=error.cause))
            refused: dict[str, Outcome] = {}
            for job_id, each in rows.items():
                refused |= self._save({job_id: each})
            return refused
        return {}

    def _write(self, results: JobResults) -> JobResults | None:
        """Return what is there now: these results or earlier ones of the job. None: something else."""
        body = results.model_dump_json().encode()
        found = self.objects.write_once(results.key, body)
        if found is body:
            return results
        try:
            earlier = JobResults.model_validate_json(found)
        except ValidationError:
            return None
        return earlier if len(earlier.results) == len(results.results) else None
