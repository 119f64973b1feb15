"""Jobs that come as a file: each line of JSON lines is a request, and becomes a job or is reported."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from tempfile import TemporaryFile

from textprep import Language

from text_classification.gateways.job_items import MAX_PROBLEM, Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable, chunks
from text_classification.logic.classification import check_annotations, languages_of
from text_classification.logic.jobs import Submission, derived_job_id
from text_classification.logic.requests import InvalidRequestError, parse_classification, parse_large_job

INCOMING_PREFIX = "jobs/incoming/"
SUBMITTED_PREFIX = "jobs/submitted/"
MAX_LINES = 100_000
MAX_BYTES = 1024**3
MAX_LINE_BYTES = 32 * 1024**2
"""The largest files and lines, of which a core makes jobs in four minutes: 10 KB a line, each put into S3 by itself.

Lambda gives 1,769 MB of memory a whole core. The largest line takes 232 MB.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

_JOBS_AT_ONCE = 100
_THREADS = 16
_WRITTEN_BY_THREADS_BYTES = 1024**2  # as many as wait for that are in memory at the same time


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFile:
    """A file of requests.

    Args:
        key: Its key, under :data:`INCOMING_PREFIX`.
        etag: What tells it from others of that key.
        sequencer: What tells it from the same put there again: each has its own, and a repeated event has the same.
        size: How many bytes it has.
    """

    key: str
    etag: str
    sequencer: str
    size: int

    @property
    def report_key(self) -> str:
        return SUBMITTED_PREFIX + self.key.removeprefix(INCOMING_PREFIX)

    def job_id(self, line: int) -> str:
        """Return the id of a line's job: the same however often the file is read."""
        return derived_job_id("s3", self.key, self.sequencer, str(line))


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What became of a file.

    Args:
        key: Where it stands for each line which job it is, or what is wrong with it.
        jobs: How many jobs there are.
        problems: How many lines are none.
    """

    key: str
    jobs: int
    problems: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSubmitter:
    """Makes jobs of files.

    Args:
        table: The jobs.
        objects: The files, and their reports.
        retention_seconds: How long a job is remembered.
        annotated_languages: The languages that annotations may be asked for in.
        large_jobs: Whether lines may be larger than what is answered at once.
    """

    table: JobTable
    objects: JobObjects
    retention_seconds: int
    annotated_languages: Collection[Language]
    large_jobs: bool

    def submit(self, file: JobFile) -> Report:
        """Make jobs of a file's lines, those that are not made yet, and write a report beside it.

        Raises:
            GatewayError: The file could not be read, or not all of it was made jobs: submit it again.
        """
        jobs = problems = 0
        with ThreadPoolExecutor(_THREADS) as threads, TemporaryFile() as report:
            requests = _Requests(objects=self.objects, threads=threads)
            for batch in chunks(self._lines(file, requests.write), _JOBS_AT_ONCE):
                requests.wait()
                accepted = [job for _, job in batch if isinstance(job, Job)]
                self.table.create_all(accepted)
                report.writelines(_entry(line, job) for line, job in batch)
                jobs += len(accepted)
                problems += len(batch) - len(accepted)
            self.objects.write(file.report_key, report, content_type="application/jsonl")
        return Report(key=file.report_key, jobs=jobs, problems=problems)

    def _lines(self, file: JobFile, write: Callable[[str, bytes], None]) -> Iterator[tuple[int, Job | str]]:
        """Yield for each line that is not empty its number and its job, or what is wrong with it."""
        if file.size > MAX_BYTES:
            yield 1, f"the file has {file.size:,} bytes: at most {MAX_BYTES:,} are read: put it into several"
            return
        lines = enumerate(self.objects.lines(file.key, file.etag, longest_bytes=MAX_LINE_BYTES), start=1)
        for number, line in islice(lines, MAX_LINES):
            if number == 1 and line:
                line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901
            if line is None:
                yield number, f"the line has more than {MAX_LINE_BYTES:,} bytes"
            elif line.strip():
                yield number, self._job(file, number, line, write)
        for number, _ in lines:
            yield number, f"a file has at most {MAX_LINES:,} lines: put this one and the rest into another"
            return

    def _job(self, file: JobFile, number: int, line: bytes, write: Callable[[str, bytes], None]) -> Job | str:
        try:
            request = parse_large_job(line) if self.large_jobs else parse_classification(line)
            check_annotations(request, languages_of(request), self.annotated_languages)
        except InvalidRequestError as error:
            return str(error)
        submission = Submission(
            request=request,
            submitted_by="s3",
            retention_seconds=self.retention_seconds,
            job_id=file.job_id(number),
        )
        return submission.job(write)


def _entry(line: int, job: Job | str) -> bytes:
    entry = {"line": line, "job_id": job.job_id} if isinstance(job, Job) else {"line": line, "problem": _shortened(job)}
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def _shortened(problem: str) -> str:
    return problem if len(problem) <= MAX_PROBLEM else f"{problem[:MAX_PROBLEM]}…"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Requests:
    """Writes requests into S3, several at the same time."""

    objects: JobObjects
    threads: Executor
    pending: list[Future[None]] = field(default_factory=list)

    def write(self, key: str, body: bytes) -> None:
        if len(body) > _WRITTEN_BY_THREADS_BYTES:
            self.objects.write(key, body)
        else:
            self.pending.append(self.threads.submit(self.objects.write, key, body))

    def wait(self) -> None:
        """Return when all are written. Raises GatewayError."""
        while self.pending:
            self.pending.pop().result()
