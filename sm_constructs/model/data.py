"""Where a model's data comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from aws_cdk import aws_s3 as s3
from constructs import Construct

from sm_constructs.model.bound_data import BoundData
from sm_constructs.model.framework import Framework
from sm_constructs.model.required_file import RequiredFile


class ModelData(ABC):
    """Where a model's data comes from. Make one with one of the static methods.

    Attributes:
        is_multi_model: Whether it is many models, of which each call names one.
        is_package: Whether it is a registered package, which says what image it runs on.
    """

    is_multi_model: ClassVar[bool] = False
    is_package: ClassVar[bool] = False

    @property
    def is_uncompressed(self) -> bool:
        """Whether it is files and no archive, which serverless variants refuse."""
        return False

    @staticmethod
    def from_directory(path: str | Path, *, exclude: Sequence[str] = ()) -> ModelData:
        """Return a directory's contents as a ``model.tar.gz`` that CDK uploads.

        The archive depends on the names and contents of the files alone: the same directory gives the same
        asset on every machine.

        Args:
            path: The directory; what lies in it stands at the archive's root, ``code/`` among it.
            exclude: Shell patterns of names and paths to leave out. When omitted: only ``__pycache__`` and the like.

        >>> data = ModelData.from_directory(".build/model", exclude=["*.md"])
        """
        from sm_constructs.model.data_sources import Directory

        return Directory(path=Path(path), exclude=tuple(exclude))

    @staticmethod
    def from_bucket(bucket: s3.IBucket, key: str) -> ModelData:
        """Return an archive that lies in a bucket already.

        Args:
            bucket: The bucket, in the region of the model.
            key: The object's key, which ends in ``.tar.gz``. Another model needs another key, since SageMaker
                reads the object whenever an instance starts.

        >>> data = ModelData.from_bucket(bucket, "models/2024-06-01/model.tar.gz")
        """
        from sm_constructs.model.data_sources import BucketObject

        return BucketObject(bucket=bucket, object_key=key)

    @staticmethod
    def from_training_job(bucket: s3.IBucket, output_prefix: str, job_name: str) -> ModelData:
        """Return what a SageMaker training job wrote: ``<output_prefix>/<job_name>/output/model.tar.gz``.

        Args:
            bucket: The bucket of the job's ``S3OutputPath``.
            output_prefix: The rest of that path; empty where the path is the bucket alone.
            job_name: The job's name.

        >>> data = ModelData.from_training_job(bucket, "trainings", "reviews-2024-06-01")
        """
        # https://docs.aws.amazon.com/sagemaker/latest/dg/model-train-storage.html
        prefix = f"{output_prefix.rstrip('/')}/" if output_prefix else ""
        return ModelData.from_bucket(bucket, f"{prefix}{job_name}/output/model.tar.gz")

    @staticmethod
    def from_prefix(bucket: s3.IBucket, prefix: str) -> ModelData:
        """Return files that lie under a prefix, not in an archive: they start sooner where they are large.

        SageMaker puts them into ``/opt/ml/model`` under their keys without the prefix. Serverless variants and batch
        transform refuse such models.

        Args:
            bucket: The bucket, in the region of the model.
            prefix: The prefix, which ends in a slash. Another model needs another prefix.

        >>> data = ModelData.from_prefix(bucket, "models/2024-06-01/")
        """
        from sm_constructs.model.data_sources import Prefix

        return Prefix(bucket=bucket, prefix=prefix)

    @staticmethod
    def multi_model(bucket: s3.IBucket, prefix: str, *, cache_models: bool = True) -> ModelData:
        """Return many archives under a prefix, which one container loads as calls name them (``TargetModel``).

        The image is the same for all of them. An archive that is put under the prefix later can be called at once.
        Real-time variants alone take such models.

        Args:
            bucket: The bucket, in the region of the model.
            prefix: The prefix, which ends in a slash. A call names the rest of an archive's key.
            cache_models: Whether a model stays in memory and on the disk after a call, as long as there is room. Not
                to is better for very many models that are called once.

        >>> data = ModelData.multi_model(bucket, "customers/", cache_models=False)
        """
        from sm_constructs.model.data_sources import MultiModel

        return MultiModel(bucket=bucket, prefix=prefix, cache_models=cache_models)

    @staticmethod
    def from_model_package(
        package_arn: str, *, archive: ModelData | None = None, framework: Framework | None = None
    ) -> ModelData:
        """Return a version of a model in SageMaker's model registry, which says what the data and the image are.

        A model of it has no framework of its own. Since SageMaker reads the package's data and image with the
        model's role, say what they are; a package of AWS Marketplace needs neither.

        Args:
            package_arn: The package's ARN, or its name. For another account's package that account has to allow
                yours to use its group, its data and its image.
            archive: The data that the package says. When omitted: the role is not allowed to read any.
            framework: What the package runs on. When omitted: the role is not allowed to pull its image.

        >>> data = ModelData.from_model_package(
        ...     "arn:aws:sagemaker:eu-west-1:111122223333:model-package/reviews/7",
        ...     archive=ModelData.from_bucket(bucket, "models/2024-06-01/model.tar.gz"),
        ...     framework=Framework.scikit_learn(),
        ... )
        """
        from sm_constructs.model.data_sources import Package

        return Package(package_arn=package_arn, archive=archive, framework=framework)

    @abstractmethod
    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:
        """Return what is wrong with the data for a framework that needs these files."""

    @abstractmethod
    def bind(self, scope: Construct) -> BoundData:
        """Define what the data needs under ``scope`` and return it."""
