"""How the work on a job ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.jobs.job import Job, JobFailedError


def carry_out(job: Job, directory: Path, work: Callable[[], str]) -> None:
    """Do the work on a job, and note how it ended.

    Args:
        job: The job.
        directory: Its containers' directories, deleted at the end.
        work: Returns ``Completed`` or ``Stopped``. Raises JobFailedError or SageMakerError when the job has failed.
    """
    job.begin()
    try:
        job.end(work())
    except JobFailedError as error:
        job.end("Failed", str(error))
    except SageMakerError as error:
        job.end("Failed", f"ClientError: {error.message}")
    except Exception as error:
        job.end("Failed", f"InternalServerError: the local SageMaker failed: {error!r}")
        raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)
