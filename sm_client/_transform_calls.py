"""The calls of the client that are about batch transforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from sm_client import uploads
from sm_client._stack_calls import StackCalls
from sm_client._transport import parsed
from sm_client.errors import TransformFailedError, TransformRunningError
from sm_client.transforms import Transform

_REFUSED = ".refused.jsonl"


class TransformCalls(StackCalls):
    """What :class:`~sm_client.Client` can do about batch transforms; it is made there."""

    def upload_files(self, path: Path | str, name: str | None = None) -> str:
        """Put files to be labelled into the artifacts' bucket and return what :meth:`start_transform` calls them.

        It takes ``s3:PutObject`` on the artifacts' ``transform/input/*``, and ``kms:GenerateDataKey`` and
        ``kms:Decrypt`` where they have a key of their own.

        Args:
            path: A ``*.jsonl`` with objects that have a ``text``, a ``*.csv`` of one text a line, or a directory of
                some.
            name: What it is called under ``transform/input/``. When omitted: as the file or directory is.

        Raises:
            FileNotFoundError: There is no such file or directory.
            ValueError: It has no such file.
            OutputMissingError: The stack does not say where its bucket is.
            ClientError: S3 refused.
        """
        given, files = uploads.planned(Path(path), name, uploads.TRANSFORMS)
        self._upload(files)
        return given

    def start_transform(
        self, given: str, *, output: str | None = None, idempotency_key: str | None = None
    ) -> Transform:
        """Start to label files and return at once. Files that have results of their present content are left out.

        Args:
            given: An object, or a prefix of objects that ends in a slash, under ``transform/input/``.
            output: The prefix of the results, under ``transform/output/``. When omitted: the same path as of the
                files. With another one all files are labelled, those with results elsewhere too.
            idempotency_key: As for :meth:`submit`.

        Raises:
            ConflictError: The key was used for another request before.
            ApiError: The API refused the request, naming all that is wrong, or failed.
            ApiUnreachableError: No answer came back; the transform may have been started all the same.
        """
        body = {"input": given} if output is None else {"input": given, "output": output}
        headers = {"Idempotency-Key": uuid4().hex if idempotency_key is None else idempotency_key}
        return parsed(Transform.from_json, self._transport.post("v1/transforms", body, headers))

    def transform(self, transform_id: str) -> Transform:
        """Look at a transform.

        Raises:
            NotFoundError: There is no such transform, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        return parsed(Transform.from_json, self._transport.get(f"v1/transforms/{quote(transform_id, safe='')}"))

    def watch_transform(self, transform: Transform | str, *, timeout_s: float = 24 * 3600) -> Iterator[Transform]:
        """Yield a transform now, whenever more files are done, and when it has ended, be it well or not.

        Args:
            transform: The transform, or its id.
            timeout_s: How long to wait, in seconds. It is looked at once at least.

        Raises:
            TransformRunningError: It has not ended in time.
            NotFoundError: There is no such transform, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        transform_id = _id(transform)
        return self._watch(
            lambda: self.transform(transform_id), timeout_s=timeout_s, still_running=TransformRunningError
        )

    def wait_transform(self, transform: Transform | str, *, timeout_s: float = 24 * 3600) -> Transform:
        """Return a transform once it has succeeded.

        Arguments and errors are those of :meth:`watch_transform`, which also shows how far it is.

        Raises:
            TransformFailedError: It failed, and why. Files that have results are done all the same.
        """
        *_, last = self.watch_transform(transform, timeout_s=timeout_s)
        if last.status == "failed":
            raise TransformFailedError(last)
        return last

    def download_results(self, transform: Transform | str, directory: Path | str) -> list[Path]:
        """Write the results of a transform that has ended into a directory, and return the files.

        They are called as the files that were labelled; beside them lie ``<name>.refused.jsonl``, of those that have
        lines without results. Of a transform that failed it writes what is done. It takes ``s3:ListBucket`` on the
        artifacts' bucket, ``s3:GetObject`` on its ``transform/output/*``, and ``kms:Decrypt`` where that has a key.

        Args:
            transform: The transform, or its id.
            directory: Where to write; it is made, unless it is there.

        Raises:
            TransformRunningError: It has not ended.
            OutputMissingError: The stack does not say where its bucket is.
            NotFoundError, ApiError, ApiUnreachableError: As for :meth:`transform`.
            ClientError: S3 refused.
            ValueError: The key of a result leads out of the directory.
        """
        seen = self.transform(_id(transform))
        if not seen.has_ended:
            raise TransformRunningError(seen)
        if seen.input is None or seen.output is None:  # it failed before it had looked at its input
            return []
        bucket, s3 = self._output("ArtifactBucketName"), self._client("s3")
        name = seen.input.rpartition("/")[2]  # of a prefix none
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=seen.output + name)
        written = []
        for found in (found for page in pages for found in page.get("Contents", ())):
            relative = found["Key"].removeprefix(seen.output)
            if not found["Size"] or (name and relative not in (name, name + _REFUSED)):
                continue  # what was refused once and no longer is, or of another file
            target = Path(directory, relative)
            if not target.resolve().is_relative_to(Path(directory).resolve()):
                raise ValueError(f"{found['Key']}: leads out of {directory}")
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, found["Key"], str(target))
            written.append(target)
        return written


def _id(transform: Transform | str) -> str:
    return transform if isinstance(transform, str) else transform.transform_id
