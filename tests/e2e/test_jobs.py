"""Jobs in the local AWS: accepted through the API, worked on from the queue, looked at through the API."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.jobs.stack import JobsStack, deploy_jobs
from tests.local_aws import LocalAws
from tests.sagemaker_account import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def jobs(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> JobsStack:
    return deploy_jobs(local_aws, tmp_path_factory.mktemp("jobs"))


def ended(jobs: JobsStack, job_id: str, seconds: float = 60) -> Any:
    """Return what the API says of a job once it has succeeded or failed."""

    def look() -> Any:
        view = jobs.get(job_id).json
        return view if view["status"] in ("succeeded", "failed") else None

    return eventually(look, seconds)


def test_a_job_is_accepted_worked_on_and_looked_at(jobs: JobsStack) -> None:
    accepted = jobs.post({"texts": ["you won a prize", "这本书很好"], "annotations": True})

    assert accepted.status == 202, accepted.body
    job_id = accepted.json["job_id"]
    assert accepted.json["status"] == "queued"
    assert accepted.headers["Location"].endswith(f"/v1/jobs/{job_id}")
    view = ended(jobs, job_id)
    assert view["status"] == "succeeded", view
    assert [(each["label"], each["language"]) for each in view["results"]] == [("spam", "en"), ("good", "zh")]
    assert all(each["annotations"]["tokens"] for each in view["results"])
    assert view["model_version"] == "faulty-1"
    bucket, _, key = view["result_url"].removeprefix("s3://").partition("/")
    document = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert document["results"] == view["results"]
