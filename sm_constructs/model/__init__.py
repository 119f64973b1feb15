"""A model that SageMaker can serve: its data, its framework's image, its permissions."""

from __future__ import annotations

from sm_constructs.model.container import Container
from sm_constructs.model.data import ModelData
from sm_constructs.model.framework import Framework
from sm_constructs.model.model import Model
from sm_constructs.model.required_file import RequiredFile

__all__ = ["Container", "Framework", "Model", "ModelData", "RequiredFile"]
