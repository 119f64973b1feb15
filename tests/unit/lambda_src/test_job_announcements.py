"""Jobs that have ended are said to the bus and to the topic; what one took is not said to it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import GatewayError
from text_classification.gateways.job_announcements import JobAnnouncements
from text_classification.gateways.job_items import Job


@dataclass
class Service:
    """Takes what it is not told to refuse, and notes each call."""

    refused: dict[str, str] = field(default_factory=dict)
    once: bool = True
    calls: list[list[str]] = field(default_factory=list)

    def take(self, job_ids: Sequence[str]) -> list[str | None]:
        """Return for each job why it was not taken."""
        self.calls.append(list(job_ids))
        codes = [self.refused.get(job_id) for job_id in job_ids]
        if self.once:
            self.refused = {}
        return codes


class Topic(Service):
    def publish_batch(self, *, PublishBatchRequestEntries: Sequence[Any], **_: str) -> Any:
        codes = self.take([each["Message"].split('"')[3] for each in PublishBatchRequestEntries])
        failed = [
            {"Id": each["Id"], "Code": code, "SenderFault": code == "InvalidParameter"}
            for each, code in zip(PublishBatchRequestEntries, codes, strict=True)
            if code
        ]
        return {"Failed": failed} if failed else {}


class Bus(Service):
    def put_events(self, *, Entries: Sequence[Any]) -> Any:
        codes = self.take([each["Detail"].split('"')[3] for each in Entries])
        return {
            "FailedEntryCount": sum(map(bool, codes)),
            "Entries": [{"ErrorCode": code} if code else {"EventId": "0"} for code in codes],
        }


def announce(topic: Topic, bus: Bus, *job_ids: str) -> None:
    announcements = JobAnnouncements(
        sns=topic,  # type: ignore[arg-type]  # of which this is what is called
        topic_arn="arn",
        events=bus,  # type: ignore[arg-type]
        event_bus_name="default",
        bucket="results",
        budget=TimeBudget(total_seconds=10),
    )
    announcements.announce(
        [
            Job(
                job_id=job_id,
                job_status="succeeded",
                submitted_by="api",
                texts=1,
                request_hash="",
                created_at="",
                updated_at="",
                expires_at=0,
            )
            for job_id in job_ids
        ]
    )


def test_what_was_not_taken_is_sent_again_alone() -> None:
    topic, bus = Topic(refused={"b": "InternalError"}), Bus(refused={"a": "ThrottlingException"})

    announce(topic, bus, "a", "b", "c")

    assert topic.calls == [["a", "b", "c"], ["b"]]
    assert bus.calls == [["a", "b", "c"], ["a"]]


def test_nobody_is_told_by_the_topic_while_the_bus_refuses() -> None:
    topic, bus = Topic(), Bus(refused={"a": "InternalFailure"}, once=False)

    with pytest.raises(GatewayError, match="event bus did not take"):
        announce(topic, bus, "a")

    assert len(bus.calls) > 1
    assert not topic.calls


def test_what_the_topic_will_never_take_is_not_sent_again_at_once() -> None:
    topic, bus = Topic(refused={"b": "InvalidParameter"}, once=False), Bus()

    with pytest.raises(GatewayError, match="topic refused"):
        announce(topic, bus, "a", "b")

    assert topic.calls == [["a", "b"]]


def test_as_many_are_announced_in_a_call_as_the_services_take() -> None:
    topic, bus = Topic(), Bus()

    announce(topic, bus, *[str(number) for number in range(23)])

    assert [len(call) for call in topic.calls] == [len(call) for call in bus.calls] == [10, 10, 3]
