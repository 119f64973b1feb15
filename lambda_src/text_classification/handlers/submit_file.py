"""Makes jobs of a file that was put into S3, when EventBridge says so."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError

from text_classification.handlers.job_gateways import BUDGET, job_objects, job_table
from text_classification.handlers.telemetry import logger, metrics, tracer
from text_classification.logic.job_files import FileSubmitter, JobFile

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_submitter = FileSubmitter(
    table=job_table(os.environ),
    objects=job_objects(os.environ),
    retention_seconds=int(os.environ["JOB_RETENTION_SECONDS"]),
    annotated_languages=tuple(os.environ["ANNOTATED_LANGUAGES"].split()),  # type: ignore[arg-type]  # from synth
    large_jobs="ASYNCHRONOUS_ENDPOINT_NAME" in os.environ,
)
# In the table of jobs, under keys that no job has; without a status, so that its stream is not looked at for them.
_files = DynamoDBPersistenceLayer(
    table_name=os.environ["JOB_TABLE_NAME"],
    key_attr="job_id",
    expiry_attr="expires_at",
    in_progress_expiry_attr="file_in_progress_until",
    status_attr="file_status",
    data_attr="file_report",
    boto3_client=boto3.client("dynamodb", config=BUDGET.client_config()),
)
_config = IdempotencyConfig(expires_after_seconds=24 * 60 * 60)


def _submitted(file: dict[str, Any]) -> dict[str, Any]:
    report = _submitter.submit(JobFile(**file))
    logger.info("file submitted", report=report.key, jobs=report.jobs, problems=report.problems)
    metrics.add_metric("JobsSubmitted", MetricUnit.Count, report.jobs)
    metrics.add_metric("LinesRefused", MetricUnit.Count, report.problems)
    return asdict(report)


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="file", persistence_store=_files, config=_config, key_prefix="submit-file"
)
def _submit(*, file: dict[str, Any]) -> dict[str, Any]:
    return _submitted(file)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return what became of the file.

    Raises:
        GatewayError: Not all of the file was made jobs. Lambda calls again.
    """
    _config.register_lambda_context(context)
    new = EventBridgeEvent(event).detail["object"]
    file = {"key": new["key"], "etag": new["etag"], "sequencer": new["sequencer"], "size": new["size"]}
    try:
        report: dict[str, Any] = _submit(file=file)
    except IdempotencyAlreadyInProgressError:
        # By an invocation that was killed, or is still at it: what is done twice comes to the same.
        logger.info("another invocation began with the file")
        report = _submitted(file)
    return report
