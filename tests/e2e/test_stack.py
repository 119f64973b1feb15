"""The project's own stack, deployed by the CDK CLI and called through its API."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from hyperparameters import Hyperparameters

from sm_client import ApiError, Client
from sm_client._transport import Retries
from sm_client.client import stack_outputs
from sm_local.state import ACCOUNT, REGION
from tests.local_aws import LocalAws, Stack
from tests.permissions import role_of_function, without
from tests.readme import python_blocks
from tests.sagemaker_account import eventually
from tests.tiny_model import train_tiny_model

pytestmark = pytest.mark.e2e

JSON = {"Content-Type": "application/json"}
CHINESE, ENGLISH = "这本书很好，我很喜欢", "Click here to win free money now"


def test_chinese_and_english_texts_get_their_labels(dev_stack: Stack) -> None:
    answer = dev_stack.client().classify([CHINESE, ENGLISH, "质量太差了，很失望"])

    assert [result.label for result in answer] == ["good", "spam", "bad"]
    assert [result.language for result in answer] == ["zh", "en", "zh"]
    assert answer.model_version == dev_stack.model_version
    for result in answer:
        assert set(result.scores) == {"good", "bad", "spam", "not spam"}
        assert sum(result.scores.values()) == pytest.approx(1)
        assert result.score == max(result.scores.values()) == result.scores[result.label]
        assert result.annotations is None


@pytest.mark.usefixtures("dev_stack")
def test_the_client_that_the_readme_shows_prints_labels(capsys: pytest.CaptureFixture[str]) -> None:
    *_constructs, client = python_blocks()

    exec(client, {})  # noqa: S102 - the README's own

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["good", "spam"]


def test_annotations_are_words_with_their_places_in_the_text_as_sent(dev_stack: Stack) -> None:
    texts = ["  我喜欢ＮＬＰ，真的！", "Don’t  panic: it’s\r\nfine."]
    answer = dev_stack.client().classify(texts, annotations=True)

    for text, result in zip(texts, answer, strict=True):
        assert result.annotations is not None
        tokens = result.annotations.tokens
        assert all(text[token.start : token.end] == token.text for token in tokens)
        assert "".join(token.text for token in tokens).split() == "".join(text.split()).split()
    chinese, english = ([token.text for token in result.annotations.tokens] for result in answer if result.annotations)
    assert "喜欢" in chinese
    assert "panic" in english


def test_annotations_have_tags_and_entities(dev_stack: Stack) -> None:
    texts = ["李明昨天在北京大学见到了张教授。", "Tim Cook of Apple visited London on Friday."]
    chinese, english = (result.annotations for result in dev_stack.client().classify(texts, annotations=True))

    assert chinese is not None
    assert {("李明", "PERSON"), ("北京大学", "ORGANIZATION")} <= {(each.text, each.type) for each in chinese.entities}
    assert ("见到", "VERB") in {(token.text, token.pos) for token in chinese.tokens}
    assert chinese.features["tags"]["PUNCT"] == 1
    assert english is not None
    assert {("Tim Cook", "PERSON"), ("Apple", "ORGANIZATION"), ("London", "LOCATION")} <= {
        (each.text, each.type) for each in english.entities
    }
    assert ("visited", "VERB") in {(token.text, token.pos) for token in english.tokens}


def _ended(execution: str) -> Mapping[str, Any]:
    """Return the execution of a state machine when it is over."""

    def look() -> Mapping[str, Any] | None:
        found = boto3.client("stepfunctions").describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    return eventually(look, seconds=300)


def test_a_data_set_is_annotated_in_parallel_and_a_bad_line_stops_nothing(dev_stack: Stack) -> None:
    bucket = dev_stack.outputs["ArtifactBucketName"]
    lines = [
        *(
            json.dumps({"text": f"李明在北京，第{n}次。" if n % 2 else f"Tim Cook in London {n}", "label": str(n)})
            for n in range(4_000)
        ),
        '{"text": ""}',
        "no JSON",
    ]
    s3, states = boto3.client("s3"), boto3.client("stepfunctions")
    s3.put_object(Bucket=bucket, Key="datasets/annotate-me/all.jsonl", Body="\n".join(lines).encode())

    execution = states.start_execution(
        stateMachineArn=dev_stack.outputs["DatasetAnnotationStateMachineArn"],
        input=json.dumps({"dataset": "datasets/annotate-me/", "output": "datasets/annotated/"}),
    )["executionArn"]
    ended = _ended(execution)

    assert ended["status"] == "SUCCEEDED", ended
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="datasets/annotated/all-")["Contents"]]
    assert keys == ["datasets/annotated/all-00000.jsonl", "datasets/annotated/all-00001.jsonl"]
    found = [
        json.loads(line)
        for key in keys
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    ]
    assert [each["label"] for each in found[:-2]] == [str(n) for n in range(4_000)]
    assert found[1]["annotations"]["entities"][0] == {"text": "李明", "start": 0, "end": 2, "type": "PERSON"}
    assert found[0]["annotations"]["entities"][0] == {"text": "Tim Cook", "start": 0, "end": 8, "type": "PERSON"}
    assert found[-2:] == [
        {"text": "", "annotations": {"error": "the text has 0 characters: must have from 1 to 10,000"}},
        {"line": "no JSON", "annotations": {"error": "not JSON: Expecting value: line 1 column 1 (char 0)"}},
    ]


def test_a_data_set_that_is_not_there_ends_with_a_reason(dev_stack: Stack) -> None:
    states = boto3.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=dev_stack.outputs["DatasetAnnotationStateMachineArn"],
        input=json.dumps({"dataset": "datasets/nowhere/", "output": "datasets/annotated/"}),
    )["executionArn"]
    ended = _ended(execution)

    assert ended["status"] == "FAILED"
    assert "datasets/nowhere/ has no *.jsonl with anything in it" in ended["cause"]


def test_annotations_never_change_a_label(dev_stack: Stack) -> None:
    plain = dev_stack.client().classify([CHINESE, ENGLISH])
    annotated = dev_stack.client().classify([CHINESE, ENGLISH], annotations=True)
    assert [result.scores for result in plain] == [result.scores for result in annotated]


def _body(**members: object) -> bytes:
    return json.dumps({"texts": ["hello"], **members}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not a JSON document"),
        (b'{"texts": ["a"', 400, "not a JSON document"),
        (b'["a"]', 400, "object"),
        (_body(texts="hello"), 400, "array"),
        (_body(texts=[1]), 400, "string"),
        (_body(texts=[]), 400, "texts"),
        (_body(texts=[""]), 400, "texts"),
        (_body(texts=["a"] * 101), 400, "texts"),
        (_body(texts=["字" * 10_001]), 400, "texts"),
        (_body(language="fr"), 400, "fr"),
        (_body(annotations="yes"), 400, "boolean"),
        (_body(colour="red"), 400, "colour"),
        (_body(texts=["a" * 10_000] * 20 + ["a"]), 413, "200,001"),
        (_body(texts=["a" * 10_000] * 2 + ["a"], annotations=True), 413, "20,001"),
        (_body(texts=["a" * (11 * 1024 * 1024)]), 413, "10 MB"),
    ],
    ids=[
        "no body", "broken JSON", "no object", "texts no list", "text no string", "no texts", "empty text",
        "101 texts", "10,001 characters", "unknown language", "wrong type", "unknown field",
        "200,001 characters together", "20,001 characters with annotations", "11 MB",
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_that_says_what_is_wrong(dev_stack: Stack, body: bytes, status: int, words: str) -> None:
    began = time.time_ns() // 1_000_000
    answer = dev_stack.post(body, JSON)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"]
    assert problem["request_id"]
    assert words in problem["detail"]
    assert not [line for line in _log_since(began, dev_stack) if "Traceback" in line or '"exception"' in line]


def test_another_content_type_is_a_problem(dev_stack: Stack) -> None:
    answer = dev_stack.post(b"hello", {"Content-Type": "text/plain"})

    assert (answer.status, answer.headers["Content-Type"]) == (415, "application/problem+json")
    assert "application/json" in answer.json["detail"]


@pytest.fixture(scope="module")
def stranger() -> boto3.Session:
    """A user of the account with no permissions."""
    iam = boto3.client("iam")
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])


def test_a_caller_needs_a_permission_for_this_method(dev_stack: Stack, stranger: boto3.Session) -> None:
    client = Client(dev_stack.outputs["ApiUrl"], session=stranger, retries=Retries(attempts=1))
    with pytest.raises(ApiError) as caught:
        client.classify([CHINESE])
    assert caught.value.status == 403

    api_id = urlsplit(dev_stack.outputs["ApiUrl"]).netloc.split(".")[0]
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/dev/POST/v1/classifications"
    allowed = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    boto3.client("iam").put_user_policy(UserName="stranger", PolicyName="classify", PolicyDocument=document)

    assert client.classify([CHINESE]).model_version


def test_a_wrongly_signed_call_is_refused(dev_stack: Stack, stranger: boto3.Session) -> None:
    credentials = stranger.get_credentials()
    assert credentials is not None
    forger = boto3.Session(credentials.access_key, "not the secret")
    with pytest.raises(ApiError) as caught:
        Client(dev_stack.outputs["ApiUrl"], session=forger, retries=Retries(attempts=1)).classify([CHINESE])
    assert caught.value.status == 403


def test_an_unsigned_call_is_refused_with_a_problem(dev_stack: Stack) -> None:
    answer = dev_stack.post(_body(), JSON, signed=False)

    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert "not signed" in answer.json["detail"]


def _log(stack: Stack, began: int = 0) -> list[str]:
    function = boto3.client("lambda").get_function_configuration(FunctionName=stack.outputs["ClassifyFunctionName"])
    group = function["LoggingConfig"]["LogGroup"]
    pages = boto3.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began)
    return [event["message"] for page in pages for event in page["events"]]


def _log_since(began: int, stack: Stack) -> list[str]:
    """Return what the function has logged since a time in milliseconds, up to a good request made after this."""
    good: list[str] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        # Again and again, since MiniStack keeps late lines for the next call's log.
        good.append(stack.client().classify([CHINESE]).request_id)
        messages = _log(stack, began)
        if any(request_id in message for message in messages for request_id in good):
            return messages
        time.sleep(0.1)
    pytest.fail(f"the function logs none of these requests: {', '.join(good)}")


@pytest.mark.parametrize(
    ("action", "annotations"), [("sagemaker:InvokeEndpoint", False), ("lambda:InvokeFunction", True)]
)
def test_a_grant_taken_away_is_missed(dev_stack: Stack, action: str, annotations: bool) -> None:
    client = dev_stack.client()
    client.classify([CHINESE], annotations=annotations)
    began = time.time_ns() // 1_000_000

    role = role_of_function(dev_stack.outputs["ClassifyFunctionName"])
    with without(role, action), pytest.raises(ApiError) as caught:
        client.classify([CHINESE], annotations=annotations)

    assert caught.value.status == 500
    assert "AccessDenied" not in caught.value.detail, "an internal matter is told to callers"
    log = _log_since(began, dev_stack)
    assert [message for message in log if "AccessDenied" in message and action in message]
    client.classify([CHINESE], annotations=annotations)


class _Stream:
    """Makes a call that returns the model's version over and over until it is stopped."""

    def __init__(self, call: Callable[[], str], pause_s: float) -> None:
        self.versions: list[str] = []
        self.failures: list[Exception] = []
        self._make_call, self._pause_s = call, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def _call(self) -> None:
        while not self._stop.wait(self._pause_s):
            try:
                self.versions.append(self._make_call())
            except Exception as error:  # whatever it is, it is a failed call
                self.failures.append(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _api_calls(stack: Stack) -> _Stream:
    """Return calls of the API, a little slower than stage dev's 20 requests a second."""
    client = stack.client()
    return _Stream(lambda: client.classify([CHINESE, ENGLISH]).model_version, 0.06)


def _endpoint_calls(stack: Stack) -> _Stream:
    """Return calls of the endpoint itself, which nobody repeats: the API's function would, when one fails."""
    once = Config(retries={"total_max_attempts": 1})
    runtime = boto3.client("sagemaker-runtime", config=once)

    def call() -> str:
        answer = runtime.invoke_endpoint(
            EndpointName=stack.outputs["EndpointName"],
            ContentType="application/json",
            Body=json.dumps({"texts": [CHINESE, ENGLISH]}),
        )
        return str(json.loads(answer["Body"].read())["model_version"])

    return _Stream(call, 0.005)


def test_another_model_replaces_the_one_in_service_without_a_failed_call(
    dev_stack: Stack, local_aws: LocalAws, tmp_path: Path
) -> None:
    old = dev_stack.client().classify([CHINESE]).model_version
    new = train_tiny_model(tmp_path, hyperparameters=Hyperparameters(ngram_max=2, max_features=500))
    assert new != old

    with _api_calls(dev_stack) as through_api, _endpoint_calls(dev_stack) as direct:
        deployment = local_aws.deploy(tmp_path)

    assert deployment.returncode == 0, deployment.stdout
    assert (direct.failures, through_api.failures) == ([], [])
    for stream in (through_api, direct):
        assert len(stream.versions) > 50
        assert stream.versions == sorted(stream.versions, key=[old, new].index), "the versions alternate"
    assert dev_stack.client().classify([CHINESE]).model_version == new


def test_a_model_that_cannot_load_is_rolled_back(dev_stack: Stack, local_aws: LocalAws, tmp_path: Path) -> None:
    in_service = dev_stack.client().classify([CHINESE]).model_version
    train_tiny_model(tmp_path)
    (tmp_path / "model.joblib").write_bytes(b"this is not a model")

    with _api_calls(dev_stack) as through_api, _endpoint_calls(dev_stack) as direct:
        deployment = local_aws.deploy(tmp_path)

    assert deployment.returncode != 0
    assert "did not pass the ping health check" in deployment.stdout
    assert (direct.failures, through_api.failures) == ([], [])
    assert {*direct.versions, *through_api.versions} == {in_service}
    assert _stack_status(dev_stack) == "UPDATE_ROLLBACK_COMPLETE"
    endpoint = boto3.client("sagemaker").describe_endpoint(EndpointName=dev_stack.outputs["EndpointName"])
    assert endpoint["EndpointStatus"] == "InService"


def _stack_status(stack: Stack) -> str:
    """Return the status of a stack once nothing is under way."""
    deadline = time.monotonic() + 30
    while True:
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
        status = str(found["StackStatus"])
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            return status
        time.sleep(0.2)


def test_prod_deploys_beside_dev_and_answers(dev_stack: Stack, local_aws: LocalAws, tmp_path: Path) -> None:
    version = train_tiny_model(tmp_path, hyperparameters=Hyperparameters(ngram_max=4, max_features=700))

    deployment = local_aws.deploy(tmp_path, "prod")

    assert deployment.returncode == 0, deployment.stdout
    prod = Stack("TextClassification-prod", stack_outputs("TextClassification-prod"), version)
    answer = prod.client().classify([CHINESE, ENGLISH], annotations=True)
    assert [result.label for result in answer] == ["good", "spam"]
    assert answer.model_version == version
    endpoint = boto3.client("sagemaker").describe_endpoint(EndpointName=prod.outputs["EndpointName"])
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert prod.outputs["EndpointName"] != dev_stack.outputs["EndpointName"]
