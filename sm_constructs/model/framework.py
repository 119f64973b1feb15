"""What a model runs on: a container image and what that image expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import aws_ecr as ecr

from sm_constructs.model.images import AwsImage, Image, RepositoryImage, UriImage
from sm_constructs.model.required_file import RequiredFile

_CODE_DIRECTORY = "/opt/ml/model/code"
"""Where SageMaker puts the archive's ``code/`` in a container."""

# https://github.com/aws/sagemaker-tensorflow-serving-container#deploying-a-tensorflow-serving-model
_SAVED_MODEL = RequiredFile(description="<number>/saved_model.pb", pattern=r"(.*/)?\d+/saved_model\.pb")

# https://github.com/aws/sagemaker-huggingface-inference-toolkit: transformers.pipeline loads the archive's root.
_TRANSFORMER = (
    "config.json",
    RequiredFile(
        description="weights (model.safetensors, pytorch_model.bin or tf_model.h5)",
        pattern=r"(model\.safetensors|pytorch_model\.bin)(\.index\.json)?|tf_model\.h5",
    ),
    RequiredFile(
        description="tokenizer (tokenizer.json, vocab.txt, vocab.json or a SentencePiece model)",
        pattern=r"tokenizer\.json|vocab\.(txt|json)|tokenizer\.model|spiece\.model|sentencepiece\.bpe\.model",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """What a model runs on. Make one with the method that is named after it, or with :meth:`custom`.

    AWS's images are those of its table for the region of the stack, GovCloud and China among them. ``processor`` is
    ``"cpu"``, ``"gpu"``, ``"graviton"``, or the instance type that the model is meant for, which has one of them.

    Args:
        image: The container image.
        environment: Environment variables that the image needs.
        required_files: What the model's archive must have: names, or patterns of names.
    """

    image: Image
    environment: Mapping[str, str] = field(default_factory=dict)
    required_files: tuple[str | RequiredFile, ...] = ()

    @classmethod
    def scikit_learn(
        cls,
        version: str = "1.9-0",
        *,
        entry_point: str = "inference.py",
        processor: str = "cpu",
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
            processor: What it runs on. There are no images for GPUs.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; ``version``, ``processor`` and
                ``account`` then do not matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> Framework.scikit_learn("1.9-0", entry_point="serve.py").environment["SAGEMAKER_PROGRAM"]
        'serve.py'
        """
        aws = AwsImage(framework="scikit-learn", version=version, runs_on=processor, account=account)
        return cls._with_script(aws if image is None else _own_image(image, tag_or_digest), entry_point)

    @classmethod
    def pytorch(
        cls,
        version: str = "2.6.0",
        *,
        entry_point: str = "inference.py",
        processor: str = "cpu",
        python: str | None = None,
        account: str | None = None,
        image: ecr.IRepository | str | None = None,
        tag_or_digest: str | None = None,
    ) -> Framework:
        """Return AWS's PyTorch container.

        The archive has the model at its root and ``code/`` with a script that defines ``model_fn``, ``input_fn``,
        ``predict_fn`` and ``output_fn``. The container's own know tensors, not texts.

        Args:
            version: The version of PyTorch, such as ``"2.6.0"``.
            entry_point: The script's name under ``code/``.
            processor: What it runs on.
            python: The version of Python, such as ``"py312"``. When omitted: the newest that there is.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; the arguments above except
                ``entry_point`` then do not matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> Framework.pytorch("2.6.0", processor="ml.g5.xlarge").image.processor
        'gpu'
        """
        aws = AwsImage(framework="pytorch", version=version, runs_on=processor, python=python, account=account)
        return cls._with_script(aws if image is None else _own_image(image, tag_or_digest), entry_point)

    @classmethod
    def pytorch_training(
        cls,
        version: str = "2.10.0",
        *,
        processor: str = "cpu",
        python: str | None = None,
        account: str | None = None,
        image: ecr.IRepository | str | None = None,
        tag_or_digest: str | None = None,
    ) -> Framework:
        """Return AWS's PyTorch container for training jobs, which serves no model. scikit-learn has one for both.

        Args:
            version: The version of PyTorch, such as ``"2.6.0"``.
            processor: What it runs on.
            python: The version of Python, such as ``"py312"``. When omitted: the newest that there is.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; the arguments above then do not
                matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> Framework.pytorch_training("2.6.0", processor="ml.g5.xlarge").image.processor
        'gpu'
        """
        aws = AwsImage(framework="pytorch-training", version=version, runs_on=processor, python=python, account=account)
        return cls(image=aws if image is None else _own_image(image, tag_or_digest))

    @classmethod
    def tensorflow(
        cls,
        version: str = "2.20.0",
        *,
        processor: str = "cpu",
        account: str | None = None,
        image: ecr.IRepository | str | None = None,
        tag_or_digest: str | None = None,
    ) -> Framework:
        """Return AWS's TensorFlow Serving container.

        The archive has a SavedModel in a directory that is named after its version, such as
        ``1/saved_model.pb``. It may have ``code/inference.py``, which defines ``input_handler`` and
        ``output_handler``, or ``handler``; that name is fixed.

        Args:
            version: The version of TensorFlow, such as ``"2.20.0"``.
            processor: What it runs on.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; the arguments above then do not
                matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> [file.description for file in Framework.tensorflow().required_files]
        ['<number>/saved_model.pb']
        """
        aws = AwsImage(framework="tensorflow", version=version, runs_on=processor, account=account)
        return cls(
            image=aws if image is None else _own_image(image, tag_or_digest),
            required_files=(_SAVED_MODEL,),
        )

    @classmethod
    def hugging_face(
        cls,
        version: str = "5.5.3",
        *,
        task: str | None = None,
        entry_point: str | None = None,
        base: str | None = None,
        processor: str = "cpu",
        account: str | None = None,
        image: ecr.IRepository | str | None = None,
        tag_or_digest: str | None = None,
    ) -> Framework:
        """Return AWS's Hugging Face container, for a model of transformers.

        The archive has at its root what ``save_pretrained`` of the model and of its tokenizer write: ``config.json``,
        weights and the tokenizer. With a script of your own it has what that script loads.

        Args:
            version: The version of transformers, such as ``"5.5.3"``.
            task: The task of the pipeline, such as ``"text-classification"``. When omitted: the container infers it
                from ``config.json``.
            entry_point: The name under ``code/`` of a script that defines ``model_fn``, ``input_fn``,
                ``predict_fn``, ``output_fn``, or ``transform_fn`` instead of the last three. When omitted: none.
            base: What transformers runs on, such as ``"pytorch2.6.0"``. When omitted: the newest PyTorch.
            processor: What it runs on; there are no images for Graviton.
            account: The account whose registry has the image. When omitted: AWS's, by region.
            image: A repository, or a full ECR URI, to take the image from instead; ``version``, ``base``,
                ``processor`` and ``account`` then do not matter. When omitted: AWS's image.
            tag_or_digest: Which image, when ``image`` is a repository.

        >>> dict(Framework.hugging_face(task="text-classification").environment)
        {'HF_TASK': 'text-classification'}
        """
        aws = AwsImage(framework="hugging-face", version=version, runs_on=processor, base=base, account=account)
        chosen: Image = aws if image is None else _own_image(image, tag_or_digest)
        environment = {"HF_TASK": task} if task else {}
        if entry_point is None:
            return cls(image=chosen, environment=environment, required_files=_TRANSFORMER)
        scripted = cls._with_script(chosen, entry_point)
        return cls(
            image=chosen,
            environment={**scripted.environment, **environment},
            required_files=scripted.required_files,
        )

    @classmethod
    def custom(
        cls,
        image: ecr.IRepository | str,
        *,
        tag_or_digest: str | None = None,
        environment: Mapping[str, str] | None = None,
        required_files: tuple[str | RequiredFile, ...] = (),
    ) -> Framework:
        """Return a container of your own, which answers ``/ping`` and ``/invocations`` on port 8080.

        Args:
            image: The repository, or a full ECR URI. The permission to pull names the repository, so a URI has to be
                known at synth; ``ecr.Repository.from_repository_name`` takes a parameter's value.
            tag_or_digest: Which image, when ``image`` is a repository; not needed with a URI.
            environment: Environment variables that the image needs. When omitted: none.
            required_files: What the model's archive must have. When omitted: nothing.

        >>> framework = Framework.custom("111122223333.dkr.ecr.eu-west-1.amazonaws.com/classifier:v1")
        """
        return cls(
            image=_own_image(image, tag_or_digest),
            environment=dict(environment or {}),
            required_files=required_files,
        )

    @classmethod
    def _with_script(cls, image: Image, entry_point: str) -> Framework:
        return cls(
            image=image,
            environment={"SAGEMAKER_PROGRAM": entry_point, "SAGEMAKER_SUBMIT_DIRECTORY": _CODE_DIRECTORY},
            required_files=(f"code/{entry_point}",),
        )


def _own_image(image: ecr.IRepository | str, tag_or_digest: str | None) -> Image:
    if isinstance(image, str):
        return UriImage(image_uri=image, tag_or_digest=tag_or_digest)
    return RepositoryImage(repository=image, tag_or_digest=tag_or_digest)
