"""The client itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import boto3
from botocore.exceptions import ClientError

from sm_client._transport import Retries, SignedTransport, configured_endpoint
from sm_client.errors import ApiError, StackNotFoundError
from sm_client.results import Classifications
from sm_client.session import default_session

Language = Literal["auto", "en", "zh"]


class Client:
    """Calls the API of one deployed stack, with requests signed by the session's credentials.

    Safe to share between threads. Throttling, 5xx and broken connections are retried with jitter.

    Args:
        api_url: The stack's output ``ApiUrl``.
        session: Credentials and region; when omitted those of the environment, ``AWS_REGION`` before a profile's.
        endpoint_url: Where to connect instead of the host in ``api_url``, which stays in the Host header
            and the signature. ``AWS_ENDPOINT_URL`` when omitted and set.
        retries: Four attempts with up to 5 s between them when omitted.
    """

    def __init__(
        self,
        api_url: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        retries: Retries | None = None,
    ) -> None:
        self.api_url = api_url
        self._transport = SignedTransport(
            api_url,
            session or default_session(),
            endpoint_url=endpoint_url or configured_endpoint(),
            retries=retries or Retries(),
        )

    @classmethod
    def from_stack(cls, stack_name: str, session: boto3.Session | None = None) -> Client:
        """Find the API of a stack by the stack's outputs.

        Args:
            stack_name: Such as ``"TextClassification-dev"``.
            session: Credentials and region; when omitted those of the environment, ``AWS_REGION`` before a profile's.

        Raises:
            StackNotFoundError: There is no such stack, or it has no output ``ApiUrl``.
        """
        session = session or default_session()
        return cls(stack_outputs(stack_name, session)["ApiUrl"], session=session)

    def classify(self, texts: Sequence[str], language: Language = "auto", annotations: bool = False) -> Classifications:
        """Return the label of each text.

        Args:
            texts: 1 to 100 texts of 1 to 10,000 characters, 200,000 together (20,000 with annotations).
            language: ``"auto"`` decides by script, for each text.
            annotations: Also return tokens, part-of-speech tags, named entities and features.

        Raises:
            ApiError: The API refused the texts or failed, with the fields of its problem document.
            ApiUnreachableError: No answer came back.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a str: give a list of texts")
        answer = self._transport.post(
            "v1/classifications", {"texts": list(texts), "language": language, "annotations": annotations}
        )
        try:
            return Classifications.from_json(answer)
        except (KeyError, TypeError) as error:
            raise ApiError(status=200, title="unexpected answer", detail=f"not a classification: {error!r}") from error


def stack_outputs(stack_name: str, session: boto3.Session | None = None) -> dict[str, str]:
    """Return the outputs of a deployed text-classification stack by logical id.

    Raises:
        StackNotFoundError: There is no such stack, or it has no output ``ApiUrl``.
    """
    cloudformation = (session or default_session()).client("cloudformation")
    try:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise StackNotFoundError(stack_name, f"does not exist in {cloudformation.meta.region_name}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise StackNotFoundError(stack_name, f"has no output ApiUrl: its status is {stack['StackStatus']}")
    return outputs
