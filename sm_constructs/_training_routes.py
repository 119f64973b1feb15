"""The part of the API that is about trainings, and about the corrected labels that they learn from."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_routes import AddMethod
from sm_constructs.queue import ClassificationQueue
from sm_constructs.training import TrainingWorkflow


def add_training_routes(
    scope: Construct,
    *,
    version: apigateway.Resource,
    training: TrainingWorkflow,
    feedback: bool,
    queue: ClassificationQueue | None,
    settings: FunctionSettings,
    timeout: Duration,
    add_method: AddMethod,
) -> tuple[list[apigateway.Method], dict[str, lambda_.Function]]:
    """Define ``POST /v1/trainings``, ``GET /v1/trainings/{training_id}`` and, with ``feedback``, ``POST /v1/feedback``.

    Returns:
        The methods, and the functions by what they do: ``train``, ``watch`` and ``correct``.
    """

    def function(construct_id: str, handler: str, environment: dict[str, str]) -> lambda_.Function:
        return settings.function(scope, construct_id, handler=handler, environment=environment, timeout=timeout)

    functions = {
        "train": function("StartTraining", "start_training", training.environment),
        "watch": function("ReadTraining", "read_training", training.environment),
    }
    training.grant_start_execution(functions["train"])
    training.grant_read(functions["watch"])
    trainings = version.add_resource("trainings")
    methods = [
        add_method(trainings, "POST", functions["train"], "training_request"),
        add_method(trainings.add_resource("{training_id}"), "GET", functions["watch"], None),
    ]
    if feedback:
        environment = {"BUCKET_NAME": training.artifacts.bucket.bucket_name, **(queue.environment if queue else {})}
        correct = functions["correct"] = function("SubmitFeedback", "submit_feedback", environment)
        training.artifacts.requests.grant_read(correct)  # so that an unknown request is told as unknown
        training.artifacts.datasets.under("feedback/").grant_put(correct)
        if queue:
            queue.grant_texts(correct)
        methods.append(add_method(version.add_resource("feedback"), "POST", correct, "feedback_request"))
    return methods, functions
