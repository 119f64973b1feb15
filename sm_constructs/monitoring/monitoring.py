"""The facade: one topic, one dashboard, and a method for each part of the stack that can be watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.endpoint.reference import EndpointBase
from sm_constructs.monitoring.api import ApiThresholds, api_segment
from sm_constructs.monitoring.endpoint import EndpointThresholds, endpoint_segment
from sm_constructs.monitoring.functions import FunctionThresholds, function_segment
from sm_constructs.monitoring.queue import QueueThresholds, WatchedQueue, queue_segment
from sm_constructs.monitoring.segment import Segment
from sm_constructs.monitoring.state_machines import StateMachineThresholds, state_machine_segment
from sm_constructs.monitoring.topic import alarm_topic, allow_alarms_to_publish

if TYPE_CHECKING:
    from sm_constructs.queue import ClassificationQueue


class Monitoring(Construct):
    """Define alarms, the SNS topic that they notify, and a CloudWatch dashboard.

    Creates the topic, its encryption key unless one is given, and an empty dashboard; each ``monitor_…`` call
    adds alarms and a row of the dashboard for one part of the stack. Nobody is subscribed: add subscriptions
    to :attr:`topic`. Notifications are sent when an alarm goes off and when it is OK again.

    Args:
        scope: The parent.
        construct_id: Unique in the scope.
        topic: Where notifications go. It must let CloudWatch publish, and so must its key, if it has one.
            When omitted: a new topic that takes messages over TLS only.
        encryption_key: Customer-managed key of the new topic; CloudWatch is added to its policy. When
            omitted: a new key with yearly rotation. Not together with ``topic``, which brings its own
            encryption.

    Raises:
        InvalidPropsError: Both ``topic`` and ``encryption_key`` are given.

    >>> import aws_cdk as cdk
    >>> stack = cdk.Stack()
    >>> monitoring = Monitoring(stack, "Monitoring")
    >>> function = lambda_.Function.from_function_name(stack, "Function", "classify")
    >>> segment = monitoring.monitor_function(function, name="Classify")
    >>> sorted(segment.alarms)
    ['Errors', 'Throttles']
    """

    topic: sns.ITopic
    dashboard: cloudwatch.Dashboard

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.ITopic | None = None,
        encryption_key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        problems = Problems()
        problems.unless(
            topic is None or encryption_key is None,
            "topic and encryption_key are both given: a topic brings its own encryption, so leave out one",
        )
        problems.raise_for(self)

        self.topic = topic or alarm_topic(self, encryption_key)
        allow_alarms_to_publish(self, self.topic)
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard")
        self._segments: dict[str, Segment] = {}

    @property
    def segments(self) -> Mapping[str, Segment]:
        """What is watched so far, by the names given."""
        return MappingProxyType(self._segments)

    def monitor_api(
        self,
        api: apigateway.IRestApi,
        *,
        name: str = "Api",
        stage_name: str | None = None,
        thresholds: ApiThresholds | None = None,
    ) -> Segment:
        """Watch one stage of a REST API: server errors and latency.

        Args:
            api: The API. Its name, by which CloudWatch tells APIs apart, must be ASCII, and no other API of
                the account and region may bear it.
            name: Construct id of the segment and its heading on the dashboard.
            stage_name: When omitted: the stage that the API deploys itself. Needed for an imported API.
            thresholds: When omitted: the defaults of :class:`ApiThresholds`.

        Raises:
            InvalidPropsError: With every threshold that makes no sense, and a name that is taken.
        """
        thresholds = thresholds or ApiThresholds()
        problems = thresholds.problems()
        if not stage_name and not api.latest_deployment:
            problems.append("stage_name is missing: the API is imported or deployed by hand, so name its stage")
        if not api.rest_api_name.isascii():
            problems.append(
                f"api is named '{api.rest_api_name}': API Gateway drops what is not ASCII from the ApiName "
                "dimension, and the alarms would never see data; give the API an ASCII name"
            )
        scope = self._scope(name, problems)
        return self._add(
            name,
            api_segment(
                scope,
                title=name,
                api_name=api.rest_api_name,
                stage_name=stage_name or api.deployment_stage.stage_name,
                topic=self.topic,
                thresholds=thresholds,
            ),
        )

    def monitor_function(
        self, function: lambda_.IFunction, *, name: str, thresholds: FunctionThresholds | None = None
    ) -> Segment:
        """Watch a Lambda function: errors and throttles.

        Args:
            function: The function.
            name: Construct id of the segment and its heading on the dashboard, such as ``"Classify"``.
            thresholds: When omitted: the defaults of :class:`FunctionThresholds`.

        Raises:
            InvalidPropsError: With every threshold that makes no sense, and a name that is taken.
        """
        thresholds = thresholds or FunctionThresholds()
        scope = self._scope(name, thresholds.problems())
        return self._add(
            name,
            function_segment(
                scope,
                title=name,
                function_name=function.function_name,
                topic=self.topic,
                thresholds=thresholds,
            ),
        )

    def monitor_endpoint(
        self,
        endpoint: sagemaker.IEndpoint,
        *,
        name: str = "Endpoint",
        variant_name: str | None = None,
        thresholds: EndpointThresholds | None = None,
    ) -> Segment:
        """Watch one production variant of an endpoint: invocation errors and model latency.

        Real-time and serverless variants publish the same metrics for these.

        Args:
            endpoint: The endpoint.
            name: Construct id of the segment and its heading on the dashboard.
            variant_name: The production variant. When omitted: the first of this library's :class:`Endpoint`, and
                ``AllTraffic`` of any other.
            thresholds: When omitted: the defaults of :class:`EndpointThresholds`.

        Raises:
            InvalidPropsError: With every threshold that makes no sense, and a name that is taken.
        """
        thresholds = thresholds or EndpointThresholds()
        scope = self._scope(name, thresholds.problems())
        return self._add(
            name,
            endpoint_segment(
                scope,
                title=name,
                endpoint_name=endpoint.endpoint_name,
                variant_name=variant_name or _first_variant(endpoint),
                topic=self.topic,
                thresholds=thresholds,
            ),
        )

    def monitor_queue(
        self, queue: ClassificationQueue, *, name: str = "Jobs", thresholds: QueueThresholds | None = None
    ) -> Segment:
        """Watch a queue of jobs: how long they wait, dead letters, files that became no jobs, and its functions.

        Args:
            queue: The queue.
            name: Construct id of the segment and its heading on the dashboard.
            thresholds: When omitted: the defaults of :class:`QueueThresholds`.

        Raises:
            InvalidPropsError: With every threshold that makes no sense, and a name that is taken.
        """
        thresholds = thresholds or QueueThresholds()
        scope = self._scope(name, thresholds.problems())
        watched = WatchedQueue(
            queue_name=queue.queue.queue_name,
            dead_letter_queue_name=queue.dead_letter_queue.queue_name,
            failed_files_queue_name=queue.failed_files_queue.queue_name,
            consumer_name=queue.consumer.function_name,
            queueing_name=queue.functions["queue"].function_name,
            announcing_name=queue.functions["announce"].function_name,
            burying_name=queue.functions["bury"].function_name,
        )
        return self._add(
            name, queue_segment(scope, title=name, watched=watched, topic=self.topic, thresholds=thresholds)
        )

    def monitor_state_machine(
        self,
        state_machine: stepfunctions.IStateMachine,
        *,
        name: str,
        thresholds: StateMachineThresholds | None = None,
    ) -> Segment:
        """Watch a state machine: executions that fail or time out.

        Args:
            state_machine: The state machine, such as a :class:`TrainingWorkflow`'s.
            name: Construct id of the segment and its heading on the dashboard, such as ``"Training"``.
            thresholds: When omitted: the defaults of :class:`StateMachineThresholds`.

        Raises:
            InvalidPropsError: With every threshold that makes no sense, and a name that is taken.
        """
        thresholds = thresholds or StateMachineThresholds()
        scope = self._scope(name, thresholds.problems())
        return self._add(
            name,
            state_machine_segment(
                scope,
                title=name,
                state_machine_arn=state_machine.state_machine_arn,
                topic=self.topic,
                thresholds=thresholds,
            ),
        )

    def _scope(self, name: str, found: Iterable[str]) -> Construct:
        """Make the construct that holds a segment's alarms, once its arguments are in order."""
        problems = Problems()
        taken = ", ".join(repr(child.node.id) for child in self.node.children)
        problems.unless(
            self.node.try_find_child(name) is None,
            f"name is {name!r}: must be none of {taken}, which are taken",
        )
        problems.extend(found)
        problems.raise_for(self)
        return Construct(self, name)

    def _add(self, name: str, segment: Segment) -> Segment:
        self._segments[name] = segment
        for row in segment.rows():
            self.dashboard.add_widgets(*row)
        return segment


def _first_variant(endpoint: sagemaker.IEndpoint) -> str:
    return endpoint.variant_names[0] if isinstance(endpoint, EndpointBase) else "AllTraffic"
