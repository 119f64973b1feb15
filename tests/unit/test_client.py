"""The client against a real HTTP server that answers as told and records what arrives."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

import sm_client
from sm_client import Annotations, ApiError, ApiUnreachableError, Client, Entity, StackNotFoundError, Token
from sm_client._transport import Retries
from sm_local.state import StateDirectory
from sm_local.tls import ensure_certificate
from tests.unit.aws_answers import Aws, stack_answer
from tests.unit.recording_api import ANSWER, API_URL, Api, Recorded, serving

SECRET = "wJalrXUtnFEMI"  # noqa: S105 - of this test only
PROBLEM = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "texts is empty"}


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
    return boto3.Session(region_name="eu-west-1")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return Aws()


@pytest.fixture
def client(api: Api, session: boto3.Session) -> Client:
    return api.client(session)


def test_the_answer_becomes_values(client: Client) -> None:
    answer = client.classify(["物流很快"])
    assert answer.model_version == "1-abc"
    assert answer.request_id == "r-1"
    (result,) = answer
    assert (result.label, result.score, result.language, result.annotations) == ("good", 0.9, "zh", None)
    assert result.scores == {"good": 0.9, "bad": 0.1}


def test_the_request_says_what_was_asked_for(client: Client, api: Api) -> None:
    client.classify(("物流很快", "b"), language="zh", annotations=True)
    (request,) = api.requests
    assert request.path == "/dev/v1/classifications"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"texts": ["物流很快", "b"], "language": "zh", "annotations": True}
    assert "物流很快".encode() in request.body, "escaped, Chinese would take twice the room of 10 MB"


def test_annotations_come_as_tokens_entities_and_features(client: Client, api: Api) -> None:
    annotations = {
        "tokens": [
            {"text": "北京", "start": 0, "end": 2, "pos": "PROPN"},
            {"text": "很", "start": 2, "end": 3, "pos": "ADV"},
        ],
        "entities": [{"text": "北京", "start": 0, "end": 2, "type": "LOCATION"}],
        "features": {"version": 1},
    }
    results = [
        {**ANSWER["results"][0], "annotations": each}  # type: ignore[dict-item]
        for each in (annotations, {"error": "the text looks binary"})
    ]
    api.answers = [(200, {**ANSWER, "results": results, "added_later": 1})]
    found, refused = (result.annotations for result in client.classify(["北京很", "\x01"], annotations=True))
    assert found == Annotations(
        tokens=(Token(text="北京", start=0, end=2, pos="PROPN"), Token(text="很", start=2, end=3, pos="ADV")),
        entities=(Entity(text="北京", start=0, end=2, type="LOCATION"),),
        features={"version": 1},
    )
    assert refused == Annotations(error="the text looks binary")


def test_the_api_keeps_its_host_name_when_the_connection_goes_elsewhere(client: Client, api: Api) -> None:
    client.classify(["a"])
    assert api.requests[0].headers["host"] == urlsplit(API_URL).netloc


def test_the_signature_is_the_one_that_aws_computes(client: Client, api: Api) -> None:
    client.classify(["a"])
    request = api.requests[0]
    assert request.headers["authorization"] == _authorization(request)


def test_an_endpoint_in_the_environment_is_where_it_connects(
    api: Api, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    Client(API_URL, session=session).classify(["a"])
    assert len(api.requests) == 1


def test_a_configured_endpoint_can_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    from sm_client._transport import configured_endpoint

    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
    assert configured_endpoint() == "https://127.0.0.1:1"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert configured_endpoint() is None


def test_a_problem_document_becomes_an_error_with_its_fields(client: Client, api: Api) -> None:
    api.answers = [(400, {**PROBLEM, "type": "https://example.com/empty", "request_id": "r-9"})]
    with pytest.raises(ApiError, match="400 Bad Request: texts is empty") as caught:
        client.classify([])
    error = caught.value
    assert (error.status, error.title, error.detail) == (400, "Bad Request", "texts is empty")
    assert (error.type, error.request_id) == ("https://example.com/empty", "r-9")
    assert len(api.requests) == 1, "a refusal is not repeated"


@pytest.mark.parametrize(
    ("body", "detail"), [({"message": "Forbidden"}, "Forbidden"), (b"<html>no</html>", "<html>no</html>")]
)
def test_what_the_gateway_says_by_itself_is_told_too(client: Client, api: Api, body: object, detail: str) -> None:
    api.answers = [(403, body)]
    with pytest.raises(ApiError) as caught:
        client.classify(["a"])
    assert (caught.value.status, caught.value.detail) == (403, detail)
    assert caught.value.request_id == "from-header"


@pytest.mark.parametrize("body", [b"not JSON", b"[]", {"results": []}])
def test_a_success_that_is_no_classification_is_an_error(client: Client, api: Api, body: object) -> None:
    api.answers = [(200, body)]
    with pytest.raises(ApiError, match="200 unexpected answer"):
        client.classify(["a"])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_throttling_and_server_errors_are_tried_again(client: Client, api: Api, status: int) -> None:
    api.answers = [(status, PROBLEM), (status, PROBLEM), (200, ANSWER)]
    assert client.classify(["a"]).request_id == "r-1"
    assert len(api.requests) == 3


def test_trying_again_ends(client: Client, api: Api) -> None:
    api.answers = [(503, {**PROBLEM, "title": "Service Unavailable", "status": 503})]
    with pytest.raises(ApiError, match="503 Service Unavailable"):
        client.classify(["a"])
    assert len(api.requests) == 3


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-north-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
        ({"AWS_PROFILE": "work"}, "ap-east-1"),
    ],
)
def test_the_region_is_the_one_that_the_cdk_deployed_to(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = ap-east-1\naws_access_key_id = AKIATEST\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    Client(API_URL, endpoint_url=api.url).classify(["a"])

    (request,) = api.requests
    assert f"/{region}/execute-api/aws4_request" in request.headers["authorization"]


def test_nobody_there_is_said_so(session: boto3.Session) -> None:
    client = Client(
        API_URL,
        session=session,
        endpoint_url="http://127.0.0.1:9",
        retries=Retries(attempts=2, base_s=0.001),
    )
    with pytest.raises(ApiUnreachableError, match=r"no answer from http://127.0.0.1:9/dev/"):
        client.classify(["a"])


def test_tls_is_verified_against_the_bundle_that_the_environment_names(
    session: boto3.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(tmp_path)
    ensure_certificate(state)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.certificate, state.private_key)
    once = Retries(attempts=1)
    monkeypatch.setattr("time.sleep", lambda _s: pytest.fail("a wrong certificate does not get better"))
    with serving(context) as api:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        with pytest.raises(ApiUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            Client(API_URL, session=session, endpoint_url=api.url).classify(["a"])
        monkeypatch.setenv("AWS_CA_BUNDLE", str(state.ca_bundle))
        fresh = boto3.Session(region_name="eu-west-1")
        Client(API_URL, session=fresh, endpoint_url=api.url, retries=once).classify(["a"])
        assert len(api.requests) == 1


def test_one_text_instead_of_a_list_is_refused(client: Client, api: Api) -> None:
    with pytest.raises(TypeError, match="give a list"):
        client.classify("abc")
    assert api.requests == []


def test_pauses_grow_up_to_the_cap_and_are_spread() -> None:
    pauses = [list(Retries(attempts=6, base_s=1, cap_s=3).pauses()) for _ in range(200)]
    assert [max(column) <= limit for column, limit in zip(zip(*pauses, strict=True), [1, 2, 3, 3, 3], strict=True)]
    longest = [max(column) for column in zip(*pauses, strict=True)]
    assert longest[0] <= 1 < longest[1] <= 2 < longest[2] <= 3
    assert min(pauses[0]) != max(pauses[0])


def test_a_stack_is_found_by_its_outputs(aws: Aws) -> None:
    aws.say("DescribeStacks", stack_answer(ApiUrl=API_URL, EndpointName="e"))
    assert Client.from_stack("Classifier", aws.session).api_url == API_URL


def test_a_missing_stack_is_named(aws: Aws) -> None:
    aws.fail_in_xml("DescribeStacks", "ValidationError", "Stack with id Classifier does not exist")
    with pytest.raises(StackNotFoundError, match="stack 'Classifier' does not exist in eu-west-1"):
        Client.from_stack("Classifier", aws.session)


def test_another_refusal_of_cloudformation_is_not_taken_for_a_missing_stack(aws: Aws) -> None:
    aws.fail_in_xml("DescribeStacks", "AccessDenied", "not authorized")
    with pytest.raises(ClientError, match="not authorized"):
        Client.from_stack("Classifier", aws.session)


def test_a_stack_without_an_api_is_refused(aws: Aws) -> None:
    aws.say("DescribeStacks", stack_answer(Something="x"))
    with pytest.raises(StackNotFoundError, match="has no output ApiUrl: its status is CREATE_COMPLETE"):
        Client.from_stack("Classifier", aws.session)


def test_everything_public_is_exported_in_order() -> None:
    assert sm_client.__all__ == sorted(sm_client.__all__)
    assert all(hasattr(sm_client, name) for name in sm_client.__all__)


def _authorization(request: Recorded) -> str:
    """Signature Version 4 as AWS's documentation spells it out, from what arrived."""
    signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    canonical = "\n".join(
        [
            request.method,
            request.path,
            "",
            *(f"{name}:{request.headers[name]}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    time = request.headers["x-amz-date"]
    scope = f"{time[:8]}/eu-west-1/execute-api/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in [*scope.split("/"), to_sign]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return f"AWS4-HMAC-SHA256 Credential=AKIATEST/{scope}, SignedHeaders={';'.join(signed)}, Signature={key.hex()}"
