"""What a model runs on: a container image and what that image expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import aws_ecr as ecr

from sm_constructs.model.images import AwsImage, Image, RepositoryImage, UriImage

_CODE_DIRECTORY = "/opt/ml/model/code"
"""Where SageMaker puts the archive's ``code/`` in a container."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """What a model runs on. Make one with :meth:`scikit_learn` or :meth:`custom`.

    Args:
        image: The container image.
        environment: Environment variables that the image needs.
        required_files: Names that the model's archive must have.
    """

    image: Image
    environment: Mapping[str, str] = field(default_factory=dict)
    required_files: tuple[str, ...] = ()

    @classmethod
    def scikit_learn(
        cls,
        version: str = "1.9-0",
        *,
        entry_point: str = "inference.py",
        account: str | None = None,
        image: ecr.IRepository | str | None = None,
        tag_or_digest: str | None = None,
    ) -> Framework:
        """Return AWS's scikit-learn container.

        The archive has the model at its root and ``code/`` with a script that defines ``model_fn`` and, where
        the defaults do not do, ``input_fn``, ``predict_fn`` and ``output_fn``.

        Args:
            version: The image's version, such as ``"1.9-0"`` for scikit-learn 1.9.0.
            entry_point: The script's name under ``code/``.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; ``version`` and ``account``
                then do not matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> Framework.scikit_learn("1.9-0", entry_point="serve.py").environment["SAGEMAKER_PROGRAM"]
        'serve.py'
        """
        return cls(
            image=AwsImage(framework="scikit-learn", version=version, account=account)
            if image is None
            else _own_image(image, tag_or_digest),
            environment={"SAGEMAKER_PROGRAM": entry_point, "SAGEMAKER_SUBMIT_DIRECTORY": _CODE_DIRECTORY},
            required_files=(f"code/{entry_point}",),
        )

    @classmethod
    def custom(
        cls,
        image: ecr.IRepository | str,
        *,
        tag_or_digest: str | None = None,
        environment: Mapping[str, str] | None = None,
        required_files: tuple[str, ...] = (),
    ) -> Framework:
        """Return a container of your own, which answers ``/ping`` and ``/invocations`` on port 8080.

        Args:
            image: The repository, or a full ECR URI.
            tag_or_digest: Which image, when ``image`` is a repository; not needed with a URI.
            environment: Environment variables that the image needs. When omitted: none.
            required_files: Names that the model's archive must have. When omitted: none.

        >>> framework = Framework.custom("111122223333.dkr.ecr.eu-west-1.amazonaws.com/classifier:v1")
        """
        return cls(
            image=_own_image(image, tag_or_digest),
            environment=dict(environment or {}),
            required_files=required_files,
        )


def _own_image(image: ecr.IRepository | str, tag_or_digest: str | None) -> Image:
    if isinstance(image, str):
        return UriImage(image_uri=image, tag_or_digest=tag_or_digest)
    return RepositoryImage(repository=image, tag_or_digest=tag_or_digest)
