"""Training as a workflow: a data set becomes a model that is measured, registered and promoted."""

from __future__ import annotations

from sm_constructs.training.promoted_model import PromotedModel
from sm_constructs.training.promotion import ModelPromotion
from sm_constructs.training.script import TrainingScript
from sm_constructs.training.workflow import TrainingWorkflow

__all__ = ["ModelPromotion", "PromotedModel", "TrainingScript", "TrainingWorkflow"]
