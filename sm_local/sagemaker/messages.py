"""What goes to a model and comes back."""

from __future__ import annotations

from dataclasses import dataclass

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# A container has a minute to answer:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
INVOCATION_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One request of a caller.

    Args:
        body: As it was sent.
        content_type: What the body is.
        accept: What the caller understands.
        custom_attributes: Passed to the model as they are.
        inference_id: Goes into captured data.
        target_variant: The production variant to use; else one is drawn by weight.
        target_model: The archive to use, relative to the prefix of a multi-model container.
        target_container: The host name of the container to use, where containers are called directly.
        component: The inference component to use.
        timeout_seconds: How long the model may take.
    """

    body: bytes
    content_type: str = ""
    accept: str = "*/*"
    custom_attributes: str | None = None
    inference_id: str | None = None
    target_variant: str | None = None
    target_model: str | None = None
    target_container: str | None = None
    component: str | None = None
    timeout_seconds: float = INVOCATION_TIMEOUT_SECONDS

    @property
    def headers(self) -> dict[str, str]:
        """What a container receives beside the body."""
        headers = {"Content-Type": self.content_type, "Accept": self.accept}
        if self.custom_attributes is not None:
            headers[CUSTOM_ATTRIBUTES] = self.custom_attributes
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a container answered.

    Args:
        status: The HTTP status.
        content_type: What the body is.
        body: As it came.
        custom_attributes: What the model set, if it did.
        container: Which container answered, as errors name it.
    """

    status: int
    content_type: str
    body: bytes
    custom_attributes: str | None = None
    container: str = "primary"
