"""AWS CDK constructs for text classification on Amazon SageMaker.

Names are imported when they are first used, so that an app pays only for the parts of aws_cdk it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sm_constructs.api import ClassificationApi
    from sm_constructs.batch_transform import BatchTransform
    from sm_constructs.database import ResultDatabase
    from sm_constructs.dataset_annotation import DatasetAnnotation
    from sm_constructs.endpoint import Endpoint, RealTime, Serverless
    from sm_constructs.errors import InvalidPropsError
    from sm_constructs.lambda_platform import LambdaPlatform
    from sm_constructs.model import Framework, Model, ModelData
    from sm_constructs.monitoring import Monitoring
    from sm_constructs.options import TrainingOptions, TransformOptions
    from sm_constructs.preprocessing import TextPreprocessor
    from sm_constructs.queue import ClassificationQueue
    from sm_constructs.stages import DEV, PROD, StageConfig
    from sm_constructs.start_up import ProvisionedConcurrency, SnapStart
    from sm_constructs.storage import ArtifactStore
    from sm_constructs.text_classification import TextClassification, TextClassificationStack
    from sm_constructs.training import ModelPromotion, PromotedModel, TrainingScript, TrainingWorkflow

__all__ = [
    "DEV",
    "PROD",
    "ArtifactStore",
    "BatchTransform",
    "ClassificationApi",
    "ClassificationQueue",
    "DatasetAnnotation",
    "Endpoint",
    "Framework",
    "InvalidPropsError",
    "LambdaPlatform",
    "Model",
    "ModelData",
    "ModelPromotion",
    "Monitoring",
    "PromotedModel",
    "ProvisionedConcurrency",
    "RealTime",
    "ResultDatabase",
    "Serverless",
    "SnapStart",
    "StageConfig",
    "TextClassification",
    "TextClassificationStack",
    "TextPreprocessor",
    "TrainingOptions",
    "TrainingScript",
    "TrainingWorkflow",
    "TransformOptions",
]

_MODULES = {
    "DEV": "stages",
    "PROD": "stages",
    "ArtifactStore": "storage",
    "BatchTransform": "batch_transform",
    "ClassificationApi": "api",
    "ClassificationQueue": "queue",
    "DatasetAnnotation": "dataset_annotation",
    "Endpoint": "endpoint",
    "Framework": "model",
    "InvalidPropsError": "errors",
    "LambdaPlatform": "lambda_platform",
    "Model": "model",
    "ModelData": "model",
    "ModelPromotion": "training",
    "Monitoring": "monitoring",
    "PromotedModel": "training",
    "ProvisionedConcurrency": "start_up",
    "RealTime": "endpoint",
    "ResultDatabase": "database",
    "Serverless": "endpoint",
    "SnapStart": "start_up",
    "StageConfig": "stages",
    "TextClassification": "text_classification",
    "TextClassificationStack": "text_classification",
    "TextPreprocessor": "preprocessing",
    "TrainingOptions": "options",
    "TrainingScript": "training",
    "TrainingWorkflow": "training",
    "TransformOptions": "options",
}


if not TYPE_CHECKING:  # a type checker takes the imports above, and so sees misspelt names

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
