"""What the functions around jobs call AWS by, made from their environment."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from text_classification.gateways.asynchronous_endpoint import AsynchronousEndpoint
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.data_api import DataApi
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_queue import JobQueue
from text_classification.gateways.job_table import JobTable
from text_classification.gateways.result_database import DataApiResultStore, ResultStore

BUDGET = TimeBudget(total_seconds=10)
"""How long a call of a service that keeps or passes on jobs may take."""


def job_table(environment: Mapping[str, str]) -> JobTable:
    """Return the table that ``JOB_TABLE_NAME`` names."""
    client = boto3.client("dynamodb", config=BUDGET.client_config())
    return JobTable(client=client, table_name=environment["JOB_TABLE_NAME"], budget=BUDGET)


def job_objects(environment: Mapping[str, str]) -> JobObjects:
    """Return the objects in the bucket that ``BUCKET_NAME`` names."""
    client = boto3.client("s3", config=BUDGET.client_config())
    return JobObjects(client=client, bucket=environment["BUCKET_NAME"], budget=BUDGET)


def job_queue(environment: Mapping[str, str], variable: str = "QUEUE_URL") -> JobQueue:
    """Return the queue whose URL is in the environment."""
    client = boto3.client("sqs", config=BUDGET.client_config())
    return JobQueue(client=client, queue_url=environment[variable], budget=BUDGET)


def asynchronous_endpoint(environment: Mapping[str, str]) -> AsynchronousEndpoint | None:
    """Return the endpoint that ``ASYNCHRONOUS_ENDPOINT_NAME`` names, with inputs under ``ASYNCHRONOUS_INPUTS_URL``."""
    name = environment.get("ASYNCHRONOUS_ENDPOINT_NAME")
    if name is None:
        return None
    return AsynchronousEndpoint(
        client=boto3.client("sagemaker-runtime", config=BUDGET.client_config()),
        s3=boto3.client("s3", config=BUDGET.client_config()),
        endpoint_name=name,
        inputs_url=environment["ASYNCHRONOUS_INPUTS_URL"],
        budget=BUDGET,
    )


def result_store(environment: Mapping[str, str]) -> ResultStore | None:
    """Return the result database whose cluster, secret and name the environment has, if it has them."""
    cluster_arn = environment.get("RESULT_DATABASE_CLUSTER_ARN")
    if cluster_arn is None:
        return None
    data_api = DataApi(
        client=boto3.client("rds-data", config=BUDGET.client_config()),
        cluster_arn=cluster_arn,
        secret_arn=environment["RESULT_DATABASE_SECRET_ARN"],
        database=environment["RESULT_DATABASE_NAME"],
        budget=BUDGET,
    )
    return DataApiResultStore(data_api=data_api)
