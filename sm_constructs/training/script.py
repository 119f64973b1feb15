"""What a training job runs: a script, the image it runs in, and what can be chosen for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from aws_cdk import AssetHashType
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from sm_constructs import _archive
from sm_constructs._sources import source_directory
from sm_constructs.model import Framework

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MetricDefinition.html
_MOST_METRICS = 40
_NUMBER = "([-+0-9.e]+)"
_VALIDATION_METRICS = MappingProxyType(
    {f"validation:{name}": f"validation:{name}={_NUMBER}" for name in ("macro_f1", "accuracy")}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingScript:
    """A training script. Make one with :meth:`scikit_learn` or :meth:`pytorch`, or describe one of your own.

    A script of your own is run in SageMaker's script mode. It reads the channels ``train`` and ``validation`` (JSON
    lines with ``text``, ``label`` and ``language``), writes its model to ``SM_MODEL_DIR`` and prints a line
    ``validation:macro_f1=0.9``, by which trials are compared. Beside it stands ``evaluate.py``, which packages and
    measures the model: ``docs/classifier.md`` says how it is called.

    Args:
        framework: The image of training and evaluation.
        serving: The image that serves the model.
        directory: Where the script and what it imports lie.
        entry_point: The script's name in the directory.
        hyperparameters: What can be chosen, by name, each as a JSON schema with ``type``, and ``minimum``, ``maximum``
            or ``enum``; ``one_instance`` has the values that a job on several instances cannot have.
        metrics: Regular expressions that find metrics in the script's output, by the metrics' names.
        model_format: What serves the model: ``"native"``, ``"onnx"``, or ``"auto"``, the faster one as measured.
        distributed: Whether a job on several instances gives each a part of the data (``"shards"``) or all of it
            (``"replicas"``).
    """

    framework: Framework
    serving: Framework
    directory: Path
    entry_point: str
    hyperparameters: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, str] = field(default_factory=lambda: _VALIDATION_METRICS)
    model_format: str = "native"
    distributed: str = "shards"

    @classmethod
    def scikit_learn(cls) -> TrainingScript:
        """Return the default: n-grams of characters and words and a linear model (``docs/classifier.md``).

        >>> sorted(TrainingScript.scikit_learn().hyperparameters)[:3]
        ['loss', 'max_features', 'ngram_max']
        """
        return cls(
            framework=Framework.scikit_learn(),
            serving=Framework.scikit_learn(),
            directory=source_directory("model_src"),
            entry_point="train.py",
            hyperparameters=_hyperparameters("hyperparameters.json"),
        )

    @classmethod
    def pytorch(cls, *, version: str = "2.6.0", processor: str = "cpu", model_format: str = "auto") -> TrainingScript:
        """Return the PyTorch network, on as many instances as are asked for (``torch.distributed``).

        Args:
            version: The version of PyTorch in AWS's images, for training and serving alike.
            processor: What both run on.
            model_format: ``"native"``, ``"onnx"`` or ``"auto"``.

        >>> TrainingScript.pytorch().entry_point
        'torch_train.py'
        """
        return cls(
            framework=Framework.pytorch_training(version, processor=processor),
            serving=Framework.pytorch(version, processor=processor),
            directory=source_directory("model_src"),
            entry_point="torch_train.py",
            hyperparameters=_hyperparameters("torch_hyperparameters.json"),
            metrics=MappingProxyType({**_VALIDATION_METRICS, "train:loss": f"train:loss={_NUMBER}"}),
            model_format=model_format,
        )

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with it, one line each."""
        for name in (self.entry_point, "evaluate.py"):
            if not (self.directory / name).is_file():
                yield f"script has no {name} in '{self.directory}'"
        if "validation:macro_f1" not in self.metrics:
            yield "script.metrics has no 'validation:macro_f1', by which trials are compared"
        if len(self.metrics) > _MOST_METRICS:
            yield f"script.metrics are {len(self.metrics)}: SageMaker takes at most {_MOST_METRICS}"
        for name, pattern in self.metrics.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                yield f"script.metrics['{name}'] is no regular expression: {error}"
            else:
                if groups != 1:
                    yield f"script.metrics['{name}'] must have one group, which is the number, and has {groups}"
        for field_name, value, allowed in (
            ("model_format", self.model_format, ("native", "onnx", "auto")),
            ("distributed", self.distributed, ("shards", "replicas")),
        ):
            if value not in allowed:
                yield f"script.{field_name} is '{value}': must be one of {', '.join(allowed)}"

    def asset(self, scope: Construct, exclude: Sequence[str] = ()) -> s3_assets.Asset:
        """Define the archive with the script, the same bytes from the same files."""
        entries = _archive.collect(self.directory, exclude=exclude)
        with TemporaryDirectory() as directory:
            archive = Path(directory) / "sourcedir.tar.gz"
            _archive.write_tar_gz(entries, archive)
            return s3_assets.Asset(
                scope,
                "Code",
                path=str(archive),
                asset_hash=_archive.fingerprint(entries),
                asset_hash_type=AssetHashType.CUSTOM,
            )


def _hyperparameters(name: str) -> Mapping[str, Mapping[str, Any]]:
    document = json.loads((source_directory("model_src") / name).read_text(encoding="utf-8"))
    found: Mapping[str, Mapping[str, Any]] = document["properties"]
    return MappingProxyType(found)
