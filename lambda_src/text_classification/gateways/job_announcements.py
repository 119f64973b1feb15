"""Says to other systems that jobs have ended: an SNS message and an EventBridge event for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import MisconfiguredError, UnavailableError
from text_classification.gateways.job_items import Job
from text_classification.gateways.job_table import chunks

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef, PublishBatchRequestEntryTypeDef

SOURCE = "text-classification"
_DETAIL_TYPES = {"succeeded": "Classification Job Succeeded", "failed": "Classification Job Failed"}
_ENTRIES_A_CALL = 10  # the limit of both services


@dataclass(frozen=True, kw_only=True, slots=True)
class JobAnnouncements:
    """Announces jobs that have ended.

    Args:
        sns: Made with ``budget.client_config()``.
        topic_arn: Where everybody may subscribe.
        events: Made with ``budget.client_config()``.
        event_bus_name: Where rules may choose.
        bucket: Where the results are.
        budget: How long a call may take, repetitions included.
    """

    sns: SNSClient
    topic_arn: str
    events: EventBridgeClient
    event_bus_name: str
    bucket: str
    budget: TimeBudget

    def announce(self, jobs: Sequence[Job]) -> None:
        """Announce jobs, first to the bus: what that refuses is not told to people by each try, as the topic would.

        Raises GatewayError when not all were taken; some of them are announced twice then.
        """
        for some in chunks(jobs, _ENTRIES_A_CALL):
            messages: list[PublishBatchRequestEntryTypeDef] = [
                {
                    "Id": str(index),
                    "Message": json.dumps(self._detail(job), ensure_ascii=False),
                    "MessageAttributes": _attributes(job),
                }
                for index, job in enumerate(some)
            ]
            events: list[PutEventsRequestEntryTypeDef] = [
                {
                    "Source": SOURCE,
                    "DetailType": _DETAIL_TYPES[job.job_status],
                    "Detail": json.dumps(self._detail(job), ensure_ascii=False),
                    "EventBusName": self.event_bus_name,
                }
                for job in some
            ]
            call_service(partial(self._put, events), self.budget)
            call_service(partial(self._publish, messages), self.budget)

    def _publish(self, messages: list[PublishBatchRequestEntryTypeDef]) -> None:
        """Publish messages, and take those that the topic took out of the list."""
        answer = self.sns.publish_batch(TopicArn=self.topic_arn, PublishBatchRequestEntries=messages)
        failed = {each["Id"]: each for each in answer.get("Failed", [])}
        messages[:] = [message for message in messages if message["Id"] in failed]
        refused = sorted({each["Code"] for each in failed.values() if each["SenderFault"]})
        if refused:
            raise MisconfiguredError("the topic refused messages", {"errors": refused})
        if failed:
            raise UnavailableError("the topic did not take all messages", {"failed": len(failed)})

    def _put(self, events: list[PutEventsRequestEntryTypeDef]) -> None:
        """Put events on the bus, and take those that it took out of the list."""
        answer = self.events.put_events(Entries=events)
        events[:] = [event for event, entry in zip(events, answer["Entries"], strict=True) if "ErrorCode" in entry]
        if events:
            raise UnavailableError("the event bus did not take all events", {"failed": len(events)})

    def _detail(self, job: Job) -> dict[str, object]:
        return {
            "job_id": job.job_id,
            "status": job.job_status,
            "submitted_by": job.submitted_by,
            "texts": job.texts,
            "created_at": job.created_at,
            "ended_at": job.updated_at,
            "model_version": job.model_version,
            "result_url": f"s3://{self.bucket}/{job.result_key}" if job.result_key else None,
            "error": job.problem if job.job_status == "failed" else None,
        }


def _attributes(job: Job) -> dict[str, MessageAttributeValueTypeDef]:
    """Return what subscribers may filter by."""
    attributes: dict[str, MessageAttributeValueTypeDef] = {
        "status": {"DataType": "String", "StringValue": job.job_status},
        "submitted_by": {"DataType": "String", "StringValue": job.submitted_by},
        "texts": {"DataType": "Number", "StringValue": str(job.texts)},
    }
    if job.model_version:
        attributes["model_version"] = {"DataType": "String", "StringValue": job.model_version}
    return attributes
