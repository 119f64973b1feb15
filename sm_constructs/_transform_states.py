"""The states of batch transforms, in Amazon States Language with JSONata.

The CDK's own task for transform jobs knows neither ``JoinSource`` nor manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sm_constructs._states import State, passing_job_limits, passing_lambda_errors, retry, task

STATES_AFTER_FAILURES = ("IsAllDelivered", "CountFailures", "IsItWorthAnotherTry", "Explain", "Tell", "Failed")
"""What an execution goes through once a state has failed, or not all was delivered."""

_WITHOUT_WORDS = {
    "error": "TransformError",
    "cause": "{% 'it failed, and nobody could say why: ' & $string($jobError) %}",
    "subject": "Batch transform failed",
    "message": "{% $states.context.Execution.Name & ' failed, and nobody could say why: ' & $string($jobError) %}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformStates:
    """What the states need to know.

    Args:
        functions: The ARNs of ``plan``, ``deliver`` and ``explain``.
        topic_arn: Where failures are told.
        instance_type: Of the transform jobs.
        instance_count: Of each job.
        max_concurrent_transforms: How many calls an instance gets at the same time.
        max_payload_mb: How large a call is at most.
        output_key_arn: The KMS key of the results. None: the bucket's own encryption.
        volume_key_arn: The KMS key of the instances' volumes. None: AWS's own.
        max_attempts: How many jobs in a row may bring nothing.
        job_timeout_seconds: How long a job may take.
    """

    functions: Mapping[str, str]
    topic_arn: str
    instance_type: str
    instance_count: int
    max_concurrent_transforms: int
    max_payload_mb: int
    output_key_arn: str | None
    volume_key_arn: str | None
    max_attempts: int
    job_timeout_seconds: int

    def definition(self) -> State:
        """Return where the state machine starts, and its states.

        Its variables: ``roundNumber``, from 1; ``failures``, how many rounds in a row have failed; ``jobError``, how
        the round's job ended, empty if well; ``plan`` and ``delivery``, what the functions returned.
        """
        return {
            "StartAt": "Begin",
            "States": {
                "Begin": {
                    "Type": "Pass",
                    "Assign": {"roundNumber": 1, "failures": 0, "jobError": "", "problems": []},
                    "Next": "Plan",
                },
                "Plan": self._function(
                    "plan",
                    {"round": "{% $roundNumber %}", "request": "{% $states.context.Execution.Input %}"},
                    assign={"plan": "{% $states.result.Payload %}", "jobError": ""},
                    following="IsAnythingLeft",
                ),
                "IsAnythingLeft": {
                    "Type": "Choice",
                    "Choices": [
                        {"Condition": "{% $plan.files > 0 %}", "Next": "Transform"},
                        {
                            "Condition": "{% $plan.more %}",
                            "Assign": {"roundNumber": "{% $roundNumber + 1 %}"},
                            "Next": "Plan",
                        },
                    ],
                    "Default": "Done",
                },
                "Done": {"Type": "Pass", "Output": "{% $plan.summary %}", "End": True},
                "Transform": self._transform(),
                "Deliver": self._function(
                    "deliver",
                    {"round": "{% $roundNumber %}"},
                    assign={"delivery": "{% $states.result.Payload %}"},
                    following="IsAllDelivered",
                ),
                "IsAllDelivered": {
                    "Type": "Choice",
                    "Choices": [
                        {"Condition": "{% $delivery.more %}", "Next": "Deliver"},
                        {
                            "Condition": "{% $delivery.delivered = $delivery.files %}",
                            "Assign": {"failures": 0, "roundNumber": "{% $roundNumber + 1 %}", "problems": []},
                            "Next": "Plan",
                        },
                    ],
                    "Default": "CountFailures",
                },
                "CountFailures": {
                    "Type": "Pass",
                    "Assign": {
                        "failures": "{% $delivery.delivered > 0 ? 0 : $failures + 1 %}",
                        "roundNumber": "{% $roundNumber + 1 %}",
                        "problems": "{% [$delivery.problems] %}",
                    },
                    "Next": "IsItWorthAnotherTry",
                },
                "IsItWorthAnotherTry": {
                    "Type": "Choice",
                    "Choices": [{"Condition": f"{{% $failures < {self.max_attempts} %}}", "Next": "Pause"}],
                    "Default": "Explain",
                },
                "Pause": {
                    "Type": "Wait",
                    # Twice as long each time, and shortened by up to a half at random.
                    "Seconds": "{% $ceil(15 * $power(2, $failures) * (0.5 + $random() / 2)) %}",
                    "Next": "Plan",
                },
                "Explain": {
                    **self._function(
                        "explain",
                        {"error": "{% $jobError %}", "problems": "{% $problems %}"},
                        assign={"failure": "{% $states.result.Payload %}"},
                        following="Tell",
                    ),
                    "Catch": [{"ErrorEquals": ["States.ALL"], "Assign": {"failure": _WITHOUT_WORDS}, "Next": "Tell"}],
                },
                "Tell": task(
                    "sns:publish",
                    {
                        "TopicArn": self.topic_arn,
                        "Subject": "{% $failure.subject %}",
                        "Message": "{% $failure.message %}",
                    },
                    Retry=retry(),
                    Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
                    Next="Failed",
                ),
                "Failed": {"Type": "Fail", "Error": "{% $failure.error %}", "Cause": "{% $failure.cause %}"},
            },
        }

    def _function(self, name: str, payload: Mapping[str, Any], *, assign: Mapping[str, Any], following: str) -> State:
        return task(
            "lambda:invoke",
            {
                "FunctionName": self.functions[name],
                "Payload": {"transform_id": "{% $states.context.Execution.Name %}", **payload},
            },
            Retry=passing_lambda_errors(),
            Catch=[
                {"ErrorEquals": ["States.ALL"], "Assign": {"jobError": "{% $states.errorOutput %}"}, "Next": "Explain"}
            ],
            Assign=assign,
            Next=following,
        )

    def _transform(self) -> State:
        return task(
            "sagemaker:createTransformJob.sync",
            {
                "TransformJobName": "{% $plan.job.name %}",
                "ModelName": "{% $plan.job.model %}",
                "BatchStrategy": "MultiRecord",
                "MaxConcurrentTransforms": self.max_concurrent_transforms,
                "MaxPayloadInMB": self.max_payload_mb,
                # What SageMaker does unless told otherwise, and the most that it repeats a call.
                "ModelClientConfig": {"InvocationsMaxRetries": 3, "InvocationsTimeoutInSeconds": 600},
                "DataProcessing": {"JoinSource": "Input"},
                "TransformInput": {
                    "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "{% $plan.job.manifest %}"}},
                    "ContentType": "{% $plan.job.content_type %}",
                    "SplitType": "Line",
                },
                "TransformOutput": {
                    "S3OutputPath": "{% $plan.job.output %}",
                    "Accept": "{% $plan.job.content_type %}",
                    "AssembleWith": "Line",
                    **({"KmsKeyId": self.output_key_arn} if self.output_key_arn else {}),
                },
                "TransformResources": {
                    "InstanceType": self.instance_type,
                    "InstanceCount": self.instance_count,
                    **({"VolumeKmsKeyId": self.volume_key_arn} if self.volume_key_arn else {}),
                },
            },
            TimeoutSeconds=self.job_timeout_seconds,
            Retry=passing_job_limits(),  # all else is for the next round
            # Some files may have their results all the same.
            Catch=[
                {"ErrorEquals": ["States.ALL"], "Assign": {"jobError": "{% $states.errorOutput %}"}, "Next": "Deliver"}
            ],
            Next="Deliver",
        )
