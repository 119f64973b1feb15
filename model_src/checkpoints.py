"""What an interrupted training finds again: SageMaker keeps a directory in S3, of jobs with a checkpoint configuration.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float64]
HeldOutScores: TypeAlias = Callable[[float, int], Scores]
"""Of a regularization and the number of a fold."""


def sagemakers_directory() -> Path | None:
    """Return SageMaker's directory of checkpoints; None when the job has none."""
    directory = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml", "checkpoints")
    return directory if directory.is_dir() else None


def resumable(scores: HeldOutScores, *, directory: Path | None, version: str) -> HeldOutScores:
    """Return what finds the same, but looks first whether it is there already, and keeps it otherwise.

    Args:
        scores: Finds them; equal arguments give equal scores.
        directory: Where they are kept; made when it is not there. None: nowhere.
        version: Of the model: what belongs to another one is not used.
    """
    if directory is None:
        return scores
    own = directory / version

    def found(regularization: float, fold: int) -> Scores:
        file = own / f"scores-{regularization}-{fold}.npy"
        if file.is_file():
            sys.stdout.write(f"resumed with the scores of regularization {regularization:g} and fold {fold}\n")
            return np.asarray(np.load(file), dtype=float)
        answer = scores(regularization, fold)
        own.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")  # what is uploaded meanwhile is whole
        with part.open("wb") as written:
            np.save(written, answer)
        part.replace(file)
        return answer

    return found
