"""The states of the training workflow, in the order in which an execution goes through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_

from sm_constructs._states import (
    State,
    catch,
    event_attribute,
    invoke,
    jsonata,
    passing_job_errors,
    passing_lambda_errors,
    retry,
    task,
)
from sm_constructs.training.jobs import JobSettings
from sm_constructs.training.promotion import NOT_REMEMBERED, TOO_LATE

_EXPLAIN = "ExplainFailure"
STATES_AFTER_FAILURES = (
    "PartFailed",
    "TrialFailed",
    _EXPLAIN,
    "WhatIsHalfMade",
    "RejectModelOfFailure",
    "RemoveArchive",
    "AnnounceFailure",
    "Failed",
)
"""What an execution goes through once a state has failed, in itself or in a part of a map."""

# Between these the model's archive may be there, and nothing knows of it.
_ARCHIVING = ("PackageAndEvaluate", "JudgeModel", "RegisterModel")
_WHOLE_CAUSE = 30_000  # characters; Step Functions cuts off what is longer than 32,768
# Of what a job, a function or an execution says of its end.
_TOLD = ["TrainingJobName", "TrainingJobStatus", "SecondaryStatus", "FailureReason", "errorMessage", "errorType"]
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
_CONTENT_TYPES = ["application/json", "application/jsonlines", "text/csv"]


def _short(cause: str) -> str:
    """Return a cause without what nobody needs: a state has at most 256 KiB from all its parts.

    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    whole = f"$contains({cause}, /^\\{{/) and $length({cause}) < {_WHOLE_CAUSE}"
    told = f"$sift($parse({cause}), function($value, $name) {{ $name in {_TOLD} }})"
    return f"({whole} ? $string({told}) : $substring({cause}, 0, 1000))"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """What the states need to know.

    Args:
        functions: The Lambda functions, by what they do.
        jobs: The requests of SageMaker's jobs.
        package_group: The name of the model package group.
        serving_image: The URI of the image that serves the model.
        serving_environment: What that image finds in its environment.
        promotion: The ARN of the state machine that promotes.
        topic: The ARN of the topic for what has happened.
        max_concurrent_parts: How many parts of a data set are checked at the same time.
        max_concurrent_trials: How many trials are trained at the same time.
        approval_timeout: How long an approval is waited for.
        code_hash: What tells this version of the script from others.
    """

    functions: Mapping[str, lambda_.IFunction]
    jobs: JobSettings
    package_group: str
    serving_image: str
    serving_environment: Mapping[str, str]
    promotion: str
    topic: str
    max_concurrent_parts: int
    max_concurrent_trials: int
    approval_timeout: Duration
    code_hash: str

    def states(self) -> State:
        """Return all states, of which ``Begin`` is the first."""
        return {**self._data(), **self._training(), **self._judgement(), **self._promotion(), **self._ends()}

    def _data(self) -> State:
        plan = jsonata("$plan")
        return {
            # What the last states read is there, however early an execution fails.
            "Begin": {
                "Type": "Pass",
                "Assign": {"training_id": jsonata("$states.context.Execution.Name"), "package_arn": ""},
                "Next": "PlanTraining",
            },
            "PlanTraining": self._call(
                "plan",
                {"training_id": jsonata("$training_id"), "request": jsonata("$states.input")},
                state="PlanTraining",
                then="CheckParts",
                assign="plan",
            ),
            "CheckParts": {
                "Type": "Map",
                "Label": "CheckParts",
                "ItemReader": {
                    "Resource": task("s3:getObject", {})["Resource"],
                    "ReaderConfig": {"InputType": "JSON"},
                    "Arguments": {"Bucket": self.jobs.bucket, "Key": jsonata("$plan.parts")},
                },
                "ItemSelector": {"part": jsonata("$states.context.Map.Item.Value"), "plan": plan},
                "MaxConcurrency": self.max_concurrent_parts,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "CheckPart",
                    "States": {
                        "CheckPart": {
                            **invoke(
                                self.functions["check_part"],
                                {"part": jsonata("$states.input.part"), "plan": jsonata("$states.input.plan")},
                                Output={},
                                Retry=retry(),
                            ),
                            # The map itself would only say that there are failures.
                            "Catch": [
                                {
                                    "ErrorEquals": ["States.ALL"],
                                    "Output": {"problem": jsonata(_short("$states.errorOutput.Cause"))},
                                    "Next": "PartFailed",
                                }
                            ],
                            "End": True,
                        },
                        "PartFailed": {"Type": "Pass", "End": True},
                    },
                },
                "Assign": {"part_problems": jsonata("[$states.result.problem]")},
                "Output": {},
                "Retry": retry(["States.ItemReaderFailed"]),
                "Catch": catch("CheckParts", _EXPLAIN),
                "Next": "CombineParts",
            },
            "CombineParts": self._call(
                "combine",
                {"plan": plan, "problems": jsonata("$part_problems")},
                state="CombineParts",
                then="Trials",
                assign="dataset",
            ),
        }

    def _training(self) -> State:
        kept = (
            "TrainingJobName",
            "TrainingJobStatus",
            "SecondaryStatus",
            "ModelArtifacts",
            "FinalMetricDataList",
            "BillableTimeInSeconds",
            "TrainingTimeInSeconds",
        )
        job = ", ".join(f"'{name}': $states.result.{name}" for name in kept)
        failed = jsonata(
            "{'trial': $states.input.trial, "
            f"'error': {{'Error': $states.errorOutput.Error, 'Cause': {_short('$states.errorOutput.Cause')}}}}}"
        )
        return {
            "Trials": {
                "Type": "Map",
                "Items": jsonata("$plan.trials"),
                "ItemSelector": {"trial": jsonata("$states.context.Map.Item.Value"), "plan": jsonata("$plan")},
                "MaxConcurrency": self.max_concurrent_trials,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": "TrainModel",
                    "States": {
                        "TrainModel": {
                            **task("sagemaker:createTrainingJob.sync", self.jobs.training_job()),
                            "Output": jsonata(f"{{'trial': $states.input.trial, 'job': {{{job}}}}}"),
                            "Retry": passing_job_errors(),
                            # One trial that fails does not end the others.
                            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": failed, "Next": "TrialFailed"}],
                            "End": True,
                        },
                        "TrialFailed": {"Type": "Pass", "End": True},
                    },
                },
                "Catch": catch("Trials", _EXPLAIN),
                "Next": "SelectTrial",
            },
            "SelectTrial": self._call(
                "select",
                {"plan": jsonata("$plan"), "trials": jsonata("$states.input")},
                state="SelectTrial",
                then="FindModelInService",
                assign="selection",
            ),
        }

    def _judgement(self) -> State:
        return {
            "FindModelInService": self._call(
                "in_service", {}, state="FindModelInService", then="PackageAndEvaluate", assign="in_service"
            ),
            "PackageAndEvaluate": {
                **task("sagemaker:createProcessingJob.sync", self.jobs.evaluation_job()),
                "Output": {},
                "Retry": passing_job_errors(),
                "Catch": catch("PackageAndEvaluate", _EXPLAIN),
                "Next": "JudgeModel",
            },
            "JudgeModel": self._call(
                "judge",
                {
                    "plan": jsonata("$plan"),
                    "evaluation": jsonata("$plan.prefix & 'evaluation/evaluation.json'"),
                    "facts": {
                        "training_job": jsonata("$selection.best.name"),
                        "dataset_hash": jsonata("$dataset.dataset_hash"),
                        "code_hash": self.code_hash,
                        "model_card": jsonata(
                            f"'s3://{self.jobs.bucket}/' & $plan.prefix & 'evaluation/model-card.json'"
                        ),
                    },
                    "hyperparameters": jsonata("$selection.best.hyperparameters"),
                },
                state="JudgeModel",
                then="RegisterModel",
                assign="judgement",
            ),
            "RegisterModel": {
                **task("aws-sdk:sagemaker:createModelPackage", self._model_package()),
                "Assign": {
                    "package_arn": jsonata("$states.result.ModelPackageArn"),
                    "verdict": jsonata("$judgement.reason"),
                },
                "Output": {},
                "Retry": retry(),
                "Catch": catch("RegisterModel", _EXPLAIN),
                "Next": "IsBetter",
            },
            "IsBetter": {
                "Type": "Choice",
                "Choices": [
                    {"Condition": jsonata("$judgement.promote and $plan.approval"), "Next": "AskForApproval"},
                    {"Condition": jsonata("$judgement.promote"), "Next": "PromoteModel"},
                ],
                "Default": "NotPromoted",
            },
        }

    def _promotion(self) -> State:
        return {
            "AskForApproval": {
                **task(
                    "sns:publish.waitForTaskToken",
                    {
                        "TopicArn": self.topic,
                        "Subject": "A model waits for approval",
                        "Message": {
                            "training_id": jsonata("$training_id"),
                            "event": "approval_requested",
                            "reason": jsonata("$judgement.reason"),
                            "model_package_arn": jsonata("$package_arn"),
                            "task_token": jsonata("$states.context.Task.Token"),
                        },
                        "MessageAttributes": event_attribute("'approval_requested'"),
                    },
                ),
                "TimeoutSeconds": self.approval_timeout.to_seconds(),
                "Assign": {"approved": jsonata("$states.result.approved = true")},
                "Output": {},
                "Retry": retry(["SNS.SnsException", "SNS.AmazonSNSException"]),
                "Catch": [
                    {
                        "ErrorEquals": ["States.Timeout"],
                        "Assign": {"verdict": jsonata("$verdict & '; nobody approved it in time'")},
                        "Next": "RejectModel",
                    },
                    *catch("AskForApproval", _EXPLAIN),
                ],
                "Next": "IsApproved",
            },
            "IsApproved": {
                "Type": "Choice",
                "Choices": [{"Condition": jsonata("$approved"), "Next": "ApproveModel"}],
                "Assign": {"verdict": jsonata("$verdict & '; it was not approved'")},  # by default
                "Default": "RejectModel",
            },
            "ApproveModel": {**self._set_status("Approved", "ApproveModel"), "Next": "PromoteModel"},
            "RejectModel": {**self._set_status("Rejected", "RejectModel"), "Next": "Rejected"},
            "PromoteModel": {
                **task(
                    "states:startExecution.sync:2",
                    {
                        "StateMachineArn": self.promotion,
                        "Name": jsonata("$plan.promotion"),
                        "Input": {
                            "model_data": jsonata(self._model_data()),
                            "model_version": jsonata("$judgement.model_version"),
                            "training_id": jsonata("$training_id"),
                            "model_package_arn": jsonata("$package_arn"),
                            # Another training may have been faster.
                            "replaces": jsonata("$in_service.model_data"),
                        },
                    },
                ),
                "Output": {},
                "Retry": retry(["StepFunctions.SfnException", "StepFunctions.AWSStepFunctionsException"]),
                "Catch": catch("PromoteModel", _EXPLAIN),
                "Next": "Promoted",
            },
        }

    def _ends(self) -> State:
        result = (
            "{'training_id': $training_id, 'outcome': $outcome, 'reason': $verdict, "
            "'model_version': $judgement.model_version, "
            f"'model_data': {self._model_data()}, 'model_package_arn': $package_arn, "
            "'metrics': $judgement.candidate, 'in_service': $judgement.in_service, 'dataset': $dataset, "
            "'trials': $selection.trials, 'report': $plan.prefix}"
        )
        return {
            **{
                state: {"Type": "Pass", "Assign": {"outcome": outcome}, "Next": "Announce"}
                for state, outcome in (
                    ("Promoted", "promoted"),
                    ("NotPromoted", "not_promoted"),
                    ("Rejected", "rejected"),
                )
            },
            "Announce": {
                **task(
                    "sns:publish",
                    {
                        "TopicArn": self.topic,
                        "Subject": jsonata("'Training ' & $outcome"),
                        "Message": {
                            "training_id": jsonata("$training_id"),
                            "event": jsonata("$outcome"),
                            "reason": jsonata("$verdict"),
                            "model_version": jsonata("$judgement.model_version"),
                            "model_package_arn": jsonata("$package_arn"),
                        },
                        "MessageAttributes": event_attribute("$outcome"),
                    },
                ),
                "Output": jsonata(result),
                "Retry": retry(),
                # What was done is done, whether somebody hears of it or not.
                "Catch": [{"ErrorEquals": ["States.ALL"], "Output": jsonata(result), "Next": "Done"}],
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
            _EXPLAIN: {
                **invoke(
                    self.functions["explain"],
                    {
                        "training_id": jsonata("$training_id"),
                        "state": jsonata("$failed_state"),
                        "error": jsonata("$failure"),
                    },
                    Assign={"explanation": jsonata("$states.result.Payload")},
                    Retry=retry(),
                ),
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {
                            "explanation": {
                                "error": jsonata("$failure.Error"),
                                "cause": jsonata("$failure.Cause"),
                                "subject": "Training failed",
                                "message": jsonata("$failure.Cause"),
                            }
                        },
                        "Next": "WhatIsHalfMade",
                    }
                ],
                "Next": "WhatIsHalfMade",
            },
            "WhatIsHalfMade": {
                "Type": "Choice",
                "Choices": [
                    {
                        # A model that is in service all the same, or may yet be, is not rejected.
                        "Condition": jsonata(
                            f"$package_arn != '' and $not($contains($explanation.cause, /{NOT_REMEMBERED}|{TOO_LATE}/))"
                        ),
                        "Next": "RejectModelOfFailure",
                    },
                    {
                        # No version in the registry refers to it.
                        "Condition": jsonata(f"$package_arn = '' and $failed_state in {list(_ARCHIVING)}"),
                        "Next": "RemoveArchive",
                    },
                ],
                "Default": "AnnounceFailure",
            },
            "RemoveArchive": {
                **task(
                    "aws-sdk:s3:deleteObject",
                    {"Bucket": self.jobs.bucket, "Key": jsonata("'models/' & $training_id & '/model.tar.gz'")},
                ),
                "Retry": retry(),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "AnnounceFailure"}],
                "Next": "AnnounceFailure",
            },
            "RejectModelOfFailure": {
                **self._set_status("Rejected", "RejectModelOfFailure"),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "AnnounceFailure"}],
                "Next": "AnnounceFailure",
            },
            "AnnounceFailure": {
                **task(
                    "sns:publish",
                    {
                        "TopicArn": self.topic,
                        "Subject": jsonata("$explanation.subject"),
                        "Message": {
                            "training_id": jsonata("$training_id"),
                            "event": "failed",
                            "state": jsonata("$failed_state"),
                            "error": jsonata("$explanation.error"),
                            "cause": jsonata("$explanation.cause"),
                        },
                        "MessageAttributes": event_attribute("'failed'"),
                    },
                ),
                "Retry": retry(),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
                "Next": "Failed",
            },
            "Failed": {
                "Type": "Fail",
                "Error": jsonata("$explanation.error"),
                "Cause": jsonata("$explanation.cause"),
            },
        }

    def _model_data(self) -> str:
        return f"'s3://{self.jobs.bucket}/models/' & $plan.training_id & '/model.tar.gz'"

    def _model_package(self) -> State:
        report = f"'s3://{self.jobs.bucket}/' & $plan.prefix & 'evaluation/"
        status = "$judgement.promote ? ($plan.approval ? 'PendingManualApproval' : 'Approved') : 'Rejected'"
        return {
            "ModelPackageGroupName": self.package_group,
            "ModelPackageDescription": jsonata("$substring($judgement.reason, 0, 1024)"),
            "ModelApprovalStatus": jsonata(status),
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": self.serving_image,
                        "ModelDataUrl": jsonata(self._model_data()),
                        "Environment": dict(self.serving_environment),
                    }
                ],
                "SupportedContentTypes": _CONTENT_TYPES,
                "SupportedResponseMIMETypes": _CONTENT_TYPES,
            },
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": jsonata(f"{report}metrics.json'")}
                }
            },
            "CustomerMetadataProperties": jsonata("$judgement.properties"),
            # The same version, should the answer be lost on its way.
            "ClientToken": jsonata("$plan.promotion"),
            "Domain": "NATURAL_LANGUAGE_PROCESSING",
            "Task": "CLASSIFICATION",
        }

    def _set_status(self, status: str, state: str) -> State:
        arguments = {
            "ModelPackageArn": jsonata("$package_arn"),
            "ModelApprovalStatus": status,
            "ApprovalDescription": jsonata("$substring($judgement.reason, 0, 1024)"),
        }
        return {
            **task("aws-sdk:sagemaker:updateModelPackage", arguments),
            "Output": {},
            "Retry": retry(),
            "Catch": catch(state, _EXPLAIN),
        }

    def _call(self, function: str, payload: Mapping[str, Any], *, state: str, then: str, assign: str) -> State:
        return {
            **invoke(
                self.functions[function],
                payload,
                Assign={assign: jsonata("$states.result.Payload")},
                Output={},
                Retry=passing_lambda_errors(),
            ),
            "Catch": catch(state, _EXPLAIN),
            "Next": then,
        }
