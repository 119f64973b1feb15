"""The rounds of a transform: files that have no results yet go to SageMaker, and results that are right are delivered.

A file is done when there are results that were made of what it holds now. So whoever begins again, after a failure or
another day, goes on with what is left, and nothing is transformed twice that was done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from text_classification.gateways.served_model import ServedModel
from text_classification.gateways.transform_objects import StoredFile, TransformObjects
from text_classification.logic.requests import InvalidRequestError
from text_classification.logic.transform_lines import answered_text, checked_lines, records, text_of
from text_classification.logic.transform_requests import (
    CSV,
    JSON_LINES,
    REFUSED,
    TransformRequest,
    short_id,
    work_prefix,
)

MAX_FILES = 1_000
MAX_FILE_BYTES = 100 * 1024 * 1024
"""What a function reads and compares line by line in a few minutes."""
MAX_ROUND_BYTES = 20 * 1024 * 1024 * 1024

RESULT = ".out"  # what SageMaker adds to an input's name

_CONTENT_TYPES = {JSON_LINES: "application/jsonlines", CSV: "text/csv"}
_SHARED_PREFIX = "transform/"  # of inputs and of copies of them
_MAX_PROBLEMS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFile:
    """A file that SageMaker transforms.

    Args:
        key: The file.
        etag: Tells the content that was checked from another.
        source: What SageMaker reads: the file, or its copy without the lines that are refused.
        source_size: Of that, in bytes.
        target: Where the results go.
        lines: How many lines SageMaker gets.
        refused: How many it does not get.
    """

    key: str
    etag: str
    source: str
    source_size: int
    target: str
    lines: int
    refused: int

    @property
    def kind(self) -> str:
        return _kind(self.key)

    @property
    def is_copied(self) -> bool:
        return self.source != self.key


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounds:
    """Plans rounds and delivers their results.

    Args:
        objects: The files.
        model: The model in service.
        job_prefix: What the names of transform jobs begin with.
        max_line_bytes: The most that one call of the model takes.
        has_time: Tells whether there is time for another file.
    """

    objects: TransformObjects
    model: ServedModel
    job_prefix: str
    max_line_bytes: int
    has_time: Callable[[], bool]

    def plan(self, transform_id: str, number: int, request: TransformRequest) -> dict[str, Any]:
        """Return the next round, of files of one kind that have no results yet.

        Args:
            transform_id: The execution's name.
            number: Of the round, from 1.
            request: What is transformed.

        Returns:
            ``files``, how many there are in the round; ``job``, what SageMaker is told of them; ``more``, whether files
            are left though there is none in this round; ``summary``, what is known of the transform.

        Raises:
            InvalidRequestError: There is no such file, or files are too large.
            GatewayError: S3 or SageMaker failed.
        """
        inputs, waiting = self._inputs(request)
        work = f"{work_prefix(transform_id)}{number:04}/"
        files: list[PlannedFile] = []
        empty: list[PlannedFile] = []
        for file in _of_one_round(waiting):
            if (files or empty) and not self.has_time():
                break
            checked = self._checked(file, request.output_of(file.key), f"{work}in/{len(files):05}{_kind(file.key)}")
            if checked.lines:
                files.append(checked)
            else:  # nothing for the model, and so done
                self.objects.write_empty(checked.target, made_of=file.etag)
                empty.append(checked)
        done = len(inputs) - len(waiting) + len(empty)
        left = len(waiting) - len(empty)
        summary = self._note(
            transform_id, number, request, total=len(inputs), done=done, planned=files, delivered=empty
        )
        return {
            "files": len(files),
            "more": not files and left > 0,
            "job": self._job(transform_id, number, work, files) if files else None,
            "summary": summary,
        }

    def deliver(self, transform_id: str, number: int) -> dict[str, Any]:
        """Put results beside each other that are complete and in order, and remove what is left of a round.

        Returns:
            ``files``, how many the round had; ``delivered``, how many have their results; ``problems``, what is wrong
            with others; ``more``, whether there was no time for all of them: deliver the round again then.

        Raises:
            GatewayError: S3 failed. What was delivered is.
        """
        work = f"{work_prefix(transform_id)}{number:04}/"
        plan = json.loads(self.objects.datasets.content(f"{work}plan.json") or b"[]")
        files = [PlannedFile(**each) for each in plan]
        outcomes: dict[str, str | None] = json.loads(self.objects.datasets.content(f"{work}outcomes.json") or b"{}")
        results = {each.key: each for each in self.objects.found(f"{work}out/") if each.key.endswith(RESULT)}
        more = False
        for file in files:
            if file.key in outcomes:
                continue
            if not self.has_time():
                more = True
                break
            outcomes[file.key] = self._deliver(file, _result_of(file, f"{work}out/", results))
        self.objects.datasets.write(f"{work}outcomes.json", json.dumps(outcomes).encode())
        problems = [f"{key} {problem}" for key, problem in outcomes.items() if problem]
        delivered = [file for file in files if file.key in outcomes and not outcomes[file.key]]
        self._note_delivered(transform_id, number, delivered)
        if not more:
            self._clean(work)
        return {
            "files": len(files),
            "delivered": len(delivered),
            "more": more,
            "problems": [*problems[:_MAX_PROBLEMS], *_and_more(len(problems) - _MAX_PROBLEMS)],
        }

    def _inputs(self, request: TransformRequest) -> tuple[list[StoredFile], list[StoredFile]]:
        """Return the inputs, and those of them that have no results yet."""
        inputs = [each for each in self.objects.found(request.input) if _is_input(each, request)]
        if not inputs and not request.input.endswith("/"):
            raise InvalidRequestError([f"there is no {request.input}"], kinds=["input_missing"])
        results = {each.key for each in self.objects.found(request.output_prefix)}
        made_of = self.objects.made_of(results & {request.output_of(each.key) for each in inputs})
        waiting = [each for each in inputs if made_of.get(request.output_of(each.key)) != each.etag]
        if too_large := [each for each in waiting if each.size > MAX_FILE_BYTES]:
            raise InvalidRequestError(
                [f"{each.key} has {each.size:,} bytes: at most {MAX_FILE_BYTES:,}, so split it" for each in too_large],
                kinds=["file_too_large"],
            )
        return inputs, waiting

    def _checked(self, file: StoredFile, target: str, copy: str) -> PlannedFile:
        """Look at each line; write those that are refused beside the results, and where any are a copy without them."""
        lines = refused = copied_bytes = 0
        as_sent = True
        for line in self._lines(file):
            lines += line.is_record
            refused += line.problem is not None
            as_sent = as_sent and line.as_sent
        if not as_sent:
            with ExitStack() as stack:
                write = stack.enter_context(self.objects.datasets.create(copy))
                refuse = stack.enter_context(self.objects.datasets.create(target + REFUSED)) if refused else None
                for line in self._lines(file):
                    if line.is_record:
                        write(line.content + b"\n")
                        copied_bytes += len(line.content) + 1
                    elif line.problem and refuse:
                        refuse(_entry(line.number, line.problem))
        if not refused and self.objects.etag(target + REFUSED):  # of what the file was before
            self.objects.datasets.write(target + REFUSED, b"")
        return PlannedFile(
            key=file.key,
            etag=file.etag,
            source=file.key if as_sent else copy,
            source_size=file.size if as_sent else copied_bytes,
            target=target,
            lines=lines,
            refused=refused,
        )

    def _lines(self, file: StoredFile) -> Iterator[Any]:
        def read(start: int, end: int) -> bytes:
            return self.objects.datasets.read(file.key, start, end)

        return checked_lines(read, file.size, kind=_kind(file.key), max_bytes=self.max_line_bytes)

    def _job(self, transform_id: str, number: int, work: str, files: Sequence[PlannedFile]) -> dict[str, str]:
        """Write down what the round has, and return what SageMaker is told."""
        bucket, write = self.objects.bucket, self.objects.datasets.write
        write(f"{work}plan.json", json.dumps([asdict(file) for file in files]).encode())
        manifest: list[object] = [{"prefix": f"s3://{bucket}/{_SHARED_PREFIX}"}]
        manifest += [file.source.removeprefix(_SHARED_PREFIX) for file in files]
        write(f"{work}manifest.json", json.dumps(manifest).encode())
        return {
            "name": f"{self.job_prefix}-{short_id(transform_id)}-{number}",
            "model": self.model.name(),
            "manifest": f"s3://{bucket}/{work}manifest.json",
            "output": f"s3://{bucket}/{work}out",
            "content_type": _CONTENT_TYPES[files[0].kind],
        }

    def _deliver(self, file: PlannedFile, result: StoredFile | None) -> str | None:
        """Copy a file's results to where they belong, or say what is wrong with them."""
        if result is None:
            return "has no results"
        if self.objects.etag(file.key) != file.etag:
            return "was changed while it was transformed"
        if problem := self._difference(file, result):
            return problem
        self.objects.copy(result.key, file.target, made_of=file.etag)
        return None

    def _difference(self, file: PlannedFile, result: StoredFile) -> str | None:
        """Compare results with the lines that they are about, one by one."""
        datasets = self.objects.datasets
        asked = records(lambda start, end: datasets.read(file.source, start, end), file.source_size)
        answered = records(lambda start, end: datasets.read(result.key, start, end), result.size)
        for number, (line, answer) in enumerate(zip_longest(asked, answered), start=1):
            if line is None or answer is None:
                more = "more" if line is None else "fewer"
                return f"has {more} results than the {file.lines:,} lines that the model got"
            if answered_text(answer, file.kind) != text_of(line, file.kind):
                return f"has results whose line {number:,} is not about the text of that line"
        return None

    def _clean(self, work: str) -> None:
        """Delete copies and what SageMaker wrote; what was planned and delivered stays to be looked at."""
        for part in ("in/", "out/"):
            for each in list(self.objects.found(f"{work}{part}")):
                self.objects.delete(each.key)

    def _note(
        self,
        transform_id: str,
        number: int,
        request: TransformRequest,
        *,
        total: int,
        done: int,
        planned: Sequence[PlannedFile],
        delivered: Sequence[PlannedFile],
    ) -> dict[str, Any]:
        """Write down how far the transform is, and return that."""
        status = self._status(transform_id)
        empty = {**status.get("empty", {}), str(number): _counts(delivered)}
        status = {
            **status,
            "input": request.input,
            "output": request.output_prefix,
            "files": {"total": total, "done": done},
            "round": {"number": number, "files": len(planned)},
            "empty": empty,
            "delivered": status.get("delivered", {}),
        }
        self._write_status(transform_id, status)
        return summary_of(status)

    def _note_delivered(self, transform_id: str, number: int, delivered: Sequence[PlannedFile]) -> None:
        status = self._status(transform_id)
        before = status["delivered"].get(str(number), _counts([]))
        now = _counts(delivered)
        done = status["files"]["done"] + now["files"] - before["files"]
        self._write_status(
            transform_id,
            {
                **status,
                "files": {**status["files"], "done": done},
                "round": None,
                "delivered": {**status["delivered"], str(number): now},
            },
        )

    def _status(self, transform_id: str) -> dict[str, Any]:
        return status_of(transform_id, self.objects)

    def _write_status(self, transform_id: str, status: Mapping[str, Any]) -> None:
        self.objects.datasets.write(_status_key(transform_id), json.dumps(status).encode())


def status_of(transform_id: str, objects: TransformObjects) -> dict[str, Any]:
    """Return what was written down of a transform; nothing before its first round. Raises GatewayError."""
    found: dict[str, Any] = json.loads(objects.datasets.content(_status_key(transform_id)) or b"{}")
    return found


def summary_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a transform, in numbers."""
    counts = [*status.get("delivered", {}).values(), *status.get("empty", {}).values()]
    return {
        "input": status["input"],
        "output": status["output"],
        "files": dict(status["files"]),
        "lines": {
            "transformed": sum(each["lines"] for each in counts),
            "refused": sum(each["refused"] for each in counts),
        },
    }


def results_under_way(transform_id: str, status: Mapping[str, Any], objects: TransformObjects) -> int:
    """Return how many files of the round under way SageMaker has done. Raises GatewayError."""
    current = status.get("round")
    if not current or not current["files"]:
        return 0
    prefix = f"{work_prefix(transform_id)}{current['number']:04}/out/"
    return min(sum(each.key.endswith(RESULT) for each in objects.found(prefix)), int(current["files"]))


def _status_key(transform_id: str) -> str:
    return f"{work_prefix(transform_id)}status.json"


def _kind(key: str) -> str:
    return CSV if key.endswith(CSV) else JSON_LINES


def _is_input(file: StoredFile, request: TransformRequest) -> bool:
    asked = request.input.endswith("/") or file.key == request.input
    return asked and file.key.endswith((JSON_LINES, CSV)) and not file.key.endswith(REFUSED)


def _of_one_round(waiting: Sequence[StoredFile]) -> Iterator[StoredFile]:
    """Yield the files that one job may have: of one kind, and not too many."""
    count = size = 0
    for file in waiting:
        if _kind(file.key) != _kind(waiting[0].key):
            continue
        count, size = count + 1, size + file.size
        if count > MAX_FILES or size > MAX_ROUND_BYTES:
            return
        yield file


def _result_of(file: PlannedFile, output: str, results: Mapping[str, StoredFile]) -> StoredFile | None:
    """Return the results of a file, which SageMaker puts below the output under the name that the manifest has.

    AWS's documentation leaves open how much of a path it keeps, so shorter ones will do: what is in them is compared.
    """
    path = file.source.removeprefix(_SHARED_PREFIX).split("/")
    keys = (f"{output}{'/'.join(path[start:])}{RESULT}" for start in range(len(path)))
    return next((results[key] for key in keys if key in results), None)


def _counts(files: Sequence[PlannedFile]) -> dict[str, int]:
    return {
        "files": len(files),
        "lines": sum(file.lines for file in files),
        "refused": sum(file.refused for file in files),
    }


def _entry(number: int, problem: str) -> bytes:
    return (json.dumps({"line": number, "problem": problem}, ensure_ascii=False) + "\n").encode(
        errors="backslashreplace"
    )


def _and_more(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []
