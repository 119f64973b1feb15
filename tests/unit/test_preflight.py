"""The checks before a deployment, on answers in the shapes that AWS's API reference gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from sm_client.session import default_session
from sm_local import preflight
from sm_local.assembly import Requirements
from sm_local.errors import LocalAwsError
from sm_local.preflight import Finding, Verdict, check
from tests.unit.aws_answers import Aws

SERVERLESS = {"ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
REAL_TIME = {"ModelName": "m", "InstanceType": "ml.m6g.large", "InitialInstanceCount": 2}
TRAINING = {"InstanceType": "ml.m5.xlarge", "InstanceCount": "{% $plan.instance_count %}"}
STAGE_WITH_LOGS = {"Type": "AWS::ApiGateway::Stage", "Properties": {"AccessLogSetting": {"Format": "{}"}}}
NEEDS = Requirements(
    bootstrap_parameter="/cdk-bootstrap/hnb659fds/version",
    bootstrap_version=6,
    instances={"ml.m6g.large": 2},
    serverless_concurrency=5,
    jobs={"ml.m6g.large for transform job usage": 1},
    api_logs=True,
)
IDENTITY = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/me</Arn>"
    "<UserId>AIDA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
Quota = tuple[str, str, float]  # code, name, value
QUOTAS: list[Quota] = [
    ("L-11111111", "ml.m6g.large for endpoint usage", 4.0),
    ("L-22222222", "ml.m6g.large for transform job usage", 1.0),
    ("L-96300102", "Maximum total concurrency that can be allocated across all serverless endpoints", 10.0),
]


class Account(Aws):
    """An AWS account that has everything; tests take things away."""

    def __init__(self) -> None:
        super().__init__()
        self.say("GetCallerIdentity", IDENTITY)
        self.say("GetParameter", {"Parameter": {"Name": "n", "Value": "28"}})
        self.quotas(*QUOTAS)
        self.say("GetAccount", {"cloudwatchRoleArn": "arn:aws:iam::111122223333:role/logs"})

    def quotas(self, *quotas: Quota, defaults: tuple[Quota, ...] = ()) -> None:
        for operation, values in (("ListServiceQuotas", quotas), ("ListAWSDefaultServiceQuotas", defaults)):
            rows = [{"QuotaCode": code, "QuotaName": name, "Value": value} for code, name, value in values]
            self.say(operation, {"Quotas": rows})

    def findings(self, requirements: Requirements = NEEDS) -> dict[str, Finding]:
        return {finding.subject: finding for finding in check(requirements, self.session)}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Account:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return Account()


def test_an_account_that_has_everything_is_ready(aws: Account) -> None:
    findings = aws.findings()
    assert {finding.verdict for finding in findings.values()} == {Verdict.READY}
    assert list(findings) == [
        "credentials",
        "CDK bootstrap",
        "SageMaker quota: ml.m6g.large for endpoint usage",
        "SageMaker quota: total concurrency across all serverless endpoints",
        "SageMaker quota: ml.m6g.large for transform job usage",
        "API Gateway's log role",
    ]
    assert "111122223333" in findings["credentials"].detail
    assert not any(finding.remedy for finding in findings.values())


def test_without_credentials_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    (finding,) = check(NEEDS, boto3.Session(region_name="eu-west-1"))
    assert finding.verdict is Verdict.MISSING
    assert str(NoCredentialsError()) in finding.detail
    assert any("aws configure" in command for command in finding.remedy)


def test_expired_credentials_are_missing_credentials(aws: Account) -> None:
    aws.fail_in_xml("GetCallerIdentity", "ExpiredToken", "The security token is expired")
    (finding,) = aws.findings().values()
    assert (finding.subject, finding.verdict) == ("credentials", Verdict.MISSING)
    assert "expired" in finding.detail


def test_without_a_region_it_says_how_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    (finding,) = check(NEEDS, default_session())
    assert (finding.subject, finding.verdict) == ("region", Verdict.MISSING)
    # What it says to do is done, word for word.
    _export, name, value, *_comment = finding.remedy[0].replace("=", " ").split()
    monkeypatch.setenv(name, value)
    assert default_session().region_name == value


def test_an_account_without_bootstrap_is_told_the_command(aws: Account) -> None:
    aws.fail("GetParameter", "ParameterNotFound")
    finding = aws.findings()["CDK bootstrap"]
    assert finding.verdict is Verdict.MISSING
    assert finding.remedy[0].endswith("sm_local.cdk bootstrap aws://111122223333/eu-west-1")


def test_an_old_bootstrap_is_not_enough(aws: Account) -> None:
    aws.say("GetParameter", {"Parameter": {"Name": "n", "Value": "5"}})
    finding = aws.findings()["CDK bootstrap"]
    assert finding.verdict is Verdict.MISSING
    assert "version 5, at least 6" in finding.detail


def test_too_small_a_quota_is_told_the_command_to_raise_it(aws: Account) -> None:
    aws.quotas(("L-11111111", "ml.m6g.large for endpoint usage", 1.0), QUOTAS[2])
    finding = aws.findings()["SageMaker quota: ml.m6g.large for endpoint usage"]
    assert finding.verdict is Verdict.MISSING
    assert finding.detail == "1, 2 needed"
    assert "--quota-code L-11111111 --desired-value 2" in finding.remedy[0]


def test_a_quota_that_an_update_would_exceed_is_pointed_out(aws: Account) -> None:
    subject = "SageMaker quota: ml.m6g.large for endpoint usage"
    assert aws.findings()[subject].detail == "4, of which this deployment needs 2"
    aws.quotas(("L-11111111", "ml.m6g.large for endpoint usage", 3.0), QUOTAS[2])
    finding = aws.findings()[subject]
    assert finding.verdict is Verdict.READY
    assert "a later update starts as many beside them, and needs 4" in finding.detail


def test_a_serverless_endpoint_has_a_quota_of_its_own(aws: Account) -> None:
    aws.quotas(QUOTAS[0], (*QUOTAS[2][:2], 4.0))
    findings = aws.findings()
    assert findings["SageMaker quota: ml.m6g.large for endpoint usage"].verdict is Verdict.READY
    serverless = findings["SageMaker quota: total concurrency across all serverless endpoints"]
    assert (serverless.verdict, serverless.detail) == (Verdict.MISSING, "4, 5 needed")


def test_the_accounts_own_value_counts_before_the_default(aws: Account) -> None:
    aws.quotas(*QUOTAS, defaults=(("L-11111111", "ml.m6g.large for endpoint usage", 0.0),))
    assert aws.findings()["SageMaker quota: ml.m6g.large for endpoint usage"].verdict is Verdict.READY


def test_a_quota_that_was_never_raised_is_read_from_the_defaults(aws: Account) -> None:
    aws.quotas(QUOTAS[2], defaults=(("L-11111111", "ml.m6g.large for endpoint usage", 0.0),))
    finding = aws.findings()["SageMaker quota: ml.m6g.large for endpoint usage"]
    assert (finding.verdict, finding.detail) == (Verdict.MISSING, "0, 2 needed")


def test_a_quota_that_is_not_listed_is_unknown(aws: Account) -> None:
    aws.quotas()
    assert aws.findings()["SageMaker quota: ml.m6g.large for endpoint usage"].verdict is Verdict.UNKNOWN


def test_no_quota_is_asked_for_where_no_endpoint_is_deployed(aws: Account) -> None:
    aws.deny("ListServiceQuotas")
    none = Requirements(
        bootstrap_parameter="p", bootstrap_version=6, instances={}, serverless_concurrency=0, jobs={}, api_logs=False
    )
    assert list(aws.findings(none)) == ["credentials", "CDK bootstrap"]


def test_a_missing_log_role_is_told_the_commands_to_make_it(aws: Account) -> None:
    aws.say("GetAccount", {"throttleSettings": {"burstLimit": 5000, "rateLimit": 10000}})
    finding = aws.findings()["API Gateway's log role"]
    assert finding.verdict is Verdict.MISSING
    create, attach, update = finding.remedy
    trust = json.loads(create.split("'")[1])
    assert trust["Statement"][0]["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert "AmazonAPIGatewayPushToCloudWatchLogs" in attach
    role = create.split("--role-name ")[1].split()[0]
    assert update.endswith(f"path=/cloudwatchRoleArn,value=arn:aws:iam::111122223333:role/{role}")


def test_what_may_not_be_looked_at_is_unknown_and_not_missing(aws: Account) -> None:
    aws.deny("GetParameter", "ListServiceQuotas", "GetAccount")
    findings = aws.findings()
    assert findings.pop("credentials").verdict is Verdict.READY
    assert len(findings) == 5
    assert {finding.verdict for finding in findings.values()} == {Verdict.UNKNOWN}
    assert "no GetParameter" in findings["CDK bootstrap"].detail


def test_the_requirements_are_read_from_the_synthesized_templates(tmp_path: Path) -> None:
    _assembly(tmp_path, _config(REAL_TIME, REAL_TIME), _config(SERVERLESS), STAGE_WITH_LOGS)
    assert Requirements.of(tmp_path) == Requirements(
        bootstrap_parameter="/cdk-bootstrap/hnb659fds/version",
        bootstrap_version=6,
        instances={"ml.m6g.large": 4},
        serverless_concurrency=5,
        jobs={},
        api_logs=True,
    )


def test_what_jobs_lack_is_told_and_does_not_keep_from_deploying(aws: Account) -> None:
    aws.quotas(*QUOTAS[::2], ("L-22222222", "ml.m6g.large for transform job usage", 0.0))

    finding = aws.findings()["SageMaker quota: ml.m6g.large for transform job usage"]

    assert finding.verdict is Verdict.LATER
    assert finding.detail.startswith("0, 1 needed")
    assert "--quota-code L-22222222 --desired-value 1" in finding.remedy[0]


def test_the_instances_of_jobs_are_read_from_the_state_machines(tmp_path: Path) -> None:
    def job(**arguments: object) -> dict[str, object]:
        return {"Type": "Task", "Arguments": arguments}

    trials = {"MaxConcurrency": 3, "ItemProcessor": {"States": {"Train": job(ResourceConfig=TRAINING)}}}
    spot = job(ResourceConfig=TRAINING | {"InstanceCount": 2}, EnableManagedSpotTraining=True)
    warm = job(ResourceConfig=TRAINING | {"InstanceType": "ml.c5.large", "KeepAlivePeriodInSeconds": 60})
    evaluate = job(ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}})
    transform = job(TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    states = {"Trials": trials, "Spot": spot, "Warm": warm, "Evaluate": evaluate, "Transform": transform}
    before, after = json.dumps({"States": {**states, "Tell": {"TopicArn": "THE-TOPIC"}}}).split("THE-TOPIC")
    definition = {"Fn::Join": ["", [before, {"Ref": "Topic"}, after]]}
    _assembly(tmp_path, {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": definition}})

    assert Requirements.of(tmp_path).jobs == {
        "ml.m5.xlarge for training job usage": 3,
        "ml.m5.xlarge for spot training job usage": 2,
        "ml.c5.large for training job usage": 1,
        "ml.c5.large for training warm pool usage": 1,
        "ml.m5.large for processing job usage": 1,
        "ml.m5.large for transform job usage": 2,
    }


@pytest.mark.parametrize(
    ("resources", "needed"),
    [
        ([{"Type": "AWS::ApiGateway::Stage", "Properties": {}}], False),
        (
            [{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"LoggingLevel": "OFF"}]}}],
            False,
        ),
        (
            [{"Type": "AWS::ApiGateway::Stage", "Properties": {"MethodSettings": [{"LoggingLevel": "INFO"}]}}],
            True,
        ),
        ([STAGE_WITH_LOGS, {"Type": "AWS::ApiGateway::Account"}], False),
    ],
)
def test_a_log_role_is_needed_where_an_api_logs_and_the_stack_sets_none(
    tmp_path: Path, resources: list[dict[str, Any]], needed: bool
) -> None:
    _assembly(tmp_path, *resources)
    assert Requirements.of(tmp_path).api_logs is needed


def test_nothing_synthesized_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="run `make synth`"):
        preflight.preflight(tmp_path)


def test_it_prints_the_findings_and_fails_when_something_is_missing(
    aws: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _assembly(tmp_path, _config(REAL_TIME))
    monkeypatch.setattr(preflight, "default_session", lambda: aws.session)
    assert preflight.main([str(tmp_path)]) == 0
    assert "ok       CDK bootstrap: version 28" in capsys.readouterr().out
    aws.fail("GetParameter", "ParameterNotFound")
    assert preflight.main([str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "missing  CDK bootstrap" in printed.out
    assert "bootstrap aws://111122223333/eu-west-1" in printed.out
    assert "Not deployed, because of: CDK bootstrap." in printed.err


def test_what_could_not_be_checked_does_not_stop_the_deployment(
    aws: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _assembly(tmp_path, _config(REAL_TIME))
    monkeypatch.setattr(preflight, "default_session", lambda: aws.session)
    aws.deny("GetParameter", "ListServiceQuotas", "GetAccount")
    assert preflight.main([str(tmp_path)]) == 0


def test_a_profile_that_does_not_exist_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _assembly(tmp_path, _config(REAL_TIME))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert preflight.main([str(tmp_path)]) == 1
    assert "no-such-profile" in capsys.readouterr().err


def _config(*variants: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": list(variants)}}


def _assembly(directory: Path, *resources: dict[str, Any]) -> None:
    template = {"Resources": {f"R{number}": resource for number, resource in enumerate(resources)}}
    (directory / "Stack.template.json").write_text(json.dumps(template))
    properties = {
        "templateFile": "Stack.template.json",
        "requiresBootstrapStackVersion": 6,
        "bootstrapStackVersionSsmParameter": "/cdk-bootstrap/hnb659fds/version",
    }
    artifacts = {
        "Stack.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Stack.assets.json"}},
        "Stack": {"type": "aws:cloudformation:stack", "properties": properties},
    }
    (directory / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
