"""TextPreprocessor: one function for each language, each with just what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs

from sm_constructs import InvalidPropsError, LambdaPlatform, ProvisionedConcurrency, SnapStart, TextPreprocessor
from tests.synth.templates import all_of, only, resources_of, statement_for, statements

pytestmark = pytest.mark.usefixtures("bundles")

FUNCTION = "AWS::Lambda::Function"
LAYER = "AWS::Lambda::LayerVersion"
LOG_GROUP = "AWS::Logs::LogGroup"


def functions(stack: cdk.Stack) -> list[dict[str, Any]]:
    return [function["Properties"] for function in all_of(stack, FUNCTION)]


def ids(stack: cdk.Stack, resource_type: str) -> list[str]:
    return [name for name, resource in resources_of(stack).items() if resource["Type"] == resource_type]


def test_each_language_has_a_function_by_default(stack: cdk.Stack) -> None:
    preprocessor = TextPreprocessor(stack, "Preprocessor")

    variables = [function["Environment"]["Variables"] for function in functions(stack)]

    assert list(preprocessor.functions) == ["en", "zh"]
    assert {(v["LANGUAGE"], v["POWERTOOLS_SERVICE_NAME"]) for v in variables} == {
        ("en", "annotate-en"),
        ("zh", "annotate-zh"),
    }
    assert {function["Handler"] for function in functions(stack)} == {"text_classification.handlers.annotate.handler"}


def test_a_function_runs_python_3_13_on_arm64_and_is_traced_by_default(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Preprocessor", languages=["zh"])

    function = only(stack, FUNCTION)

    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert (function["MemorySize"], function["Timeout"]) == (1769, 20)
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function.keys().isdisjoint({"ReservedConcurrentExecutions", "KmsKeyArn", "VpcConfig"})


def test_the_options_reach_the_function(stack: cdk.Stack) -> None:
    TextPreprocessor(
        stack,
        "Preprocessor",
        languages=["en"],
        memory_size_mb=1024,
        timeout=cdk.Duration.minutes(1),
        reserved_concurrent_executions=0,
        lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"),
    )

    function = only(stack, FUNCTION)

    assert (function["MemorySize"], function["Timeout"]) == (1024, 60)
    assert function["ReservedConcurrentExecutions"] == 0
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["x86_64"])


def test_logs_are_kept_for_a_month_and_survive_the_stack_by_default(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Preprocessor", languages=["en"])

    (log_group,) = all_of(stack, LOG_GROUP)

    assert log_group["Properties"] == {"RetentionInDays": 30}
    assert log_group["DeletionPolicy"] == "Retain"
    assert only(stack, FUNCTION)["LoggingConfig"] == {"LogGroup": {"Ref": ids(stack, LOG_GROUP)[0]}}


def test_logs_are_kept_as_long_as_the_options_say(stack: cdk.Stack) -> None:
    TextPreprocessor(
        stack,
        "Preprocessor",
        languages=["en"],
        log_retention=logs.RetentionDays.ONE_DAY,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )

    (log_group,) = all_of(stack, LOG_GROUP)

    assert log_group["Properties"] == {"RetentionInDays": 1}
    assert log_group["DeletionPolicy"] == "Delete"


def test_the_role_may_write_its_own_logs_and_traces_and_nothing_else(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Preprocessor", languages=["en"])

    assert "ManagedPolicyArns" not in only(stack, "AWS::IAM::Role")
    assert [(each["Action"], each["Resource"]) for each in statements(stack)] == [
        (["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": [ids(stack, LOG_GROUP)[0], "Arn"]}),
        (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    ]


def test_the_function_waits_for_its_policy(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Preprocessor", languages=["en"])

    (function,) = all_of(stack, FUNCTION)

    assert set(ids(stack, "AWS::IAM::Policy")) < set(function["DependsOn"])


def test_a_key_encrypts_environment_and_logs(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Preprocessor", encryption_key=kms.Key(stack, "Key"))

    arn = {"Fn::GetAtt": [*ids(stack, "AWS::KMS::Key"), "Arn"]}

    assert [function["KmsKeyArn"] for function in functions(stack)] == [arn, arn]
    assert [group["Properties"]["KmsKeyId"] for group in all_of(stack, LOG_GROUP)] == [arn, arn]


def test_the_keys_policy_lets_cloudwatch_encrypt_the_logs_of_this_stack_only(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Words")
    TextPreprocessor(stack, "Preprocessor", encryption_key=kms.Key(stack, "Key"))

    _, *added = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]

    (statement,) = added
    assert statement["Principal"] == {"Service": joined("logs.", {"Ref": "AWS::Region"}, ".amazonaws.com")}
    assert statement["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": joined(
                *("arn:", {"Ref": "AWS::Partition"}, ":logs:", {"Ref": "AWS::Region"}, ":"),
                *({"Ref": "AWS::AccountId"}, ":log-group:Words-*"),
            )
        }
    }


def test_a_function_in_a_vpc_may_attach_itself_to_it(stack: cdk.Stack) -> None:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_route_table_ids=["table-1", "table-2"],
    )
    TextPreprocessor(stack, "Preprocessor", languages=["en"], vpc=vpc)

    assert only(stack, FUNCTION)["VpcConfig"]["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert "ManagedPolicyArns" not in only(stack, "AWS::IAM::Role")
    actions = statement_for(stack, "ec2:CreateNetworkInterface")["Action"]
    assert [action for action in actions if action.startswith("ec2:")] == [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]


def test_two_preprocessors_live_in_one_stack_and_share_the_layers(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "First")
    TextPreprocessor(stack, "Second")

    layers = {name: layer for name, layer in resources_of(stack).items() if layer["Type"] == LAYER}
    names = {name: layer["Properties"]["Description"].rpartition(" ")[2] for name, layer in layers.items()}

    assert sorted(names.values()) == ["chinese", "core", "english"]
    assert sorted(sorted(names[layer["Ref"]] for layer in function["Layers"]) for function in functions(stack)) == [
        ["chinese", "core"],
        ["chinese", "core"],
        ["core", "english"],
        ["core", "english"],
    ]


def test_functions_for_two_platforms_live_in_one_stack_with_layers_of_their_own(stack: cdk.Stack) -> None:
    TextPreprocessor(stack, "Arm")
    TextPreprocessor(stack, "Intel", lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"))

    layers = [(layer["Properties"]["CompatibleArchitectures"]) for layer in all_of(stack, LAYER)]

    assert sorted(layers) == [["arm64"]] * 3 + [["x86_64"]] * 3


def test_two_stacks_of_one_app_have_layers_of_their_own(app: cdk.App) -> None:
    stacks = [cdk.Stack(app, name) for name in ("One", "Two")]
    for stack in stacks:
        TextPreprocessor(stack, "Preprocessor")

    assert [len(all_of(stack, LAYER)) for stack in stacks] == [3, 3]


def test_a_granted_caller_may_invoke_the_functions_but_none_of_their_versions(stack: cdk.Stack) -> None:
    preprocessor = TextPreprocessor(stack, "Preprocessor")
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    assert preprocessor.grant_invoke(role).success

    assert statement_for(stack, "lambda:InvokeFunction")["Resource"] == [
        {"Fn::GetAtt": [function, "Arn"]} for function in ids(stack, FUNCTION)
    ]


@pytest.mark.parametrize(
    ("start_up", "configuration"),
    [
        (SnapStart(), None),
        (ProvisionedConcurrency(executions=2), {"ProvisionedConcurrentExecutions": 2}),
    ],
)
def test_functions_that_are_prepared_are_invoked_by_their_alias(
    stack: cdk.Stack, start_up: SnapStart | ProvisionedConcurrency, configuration: object
) -> None:
    preprocessor = TextPreprocessor(stack, "Preprocessor", languages=["zh"], start_up=start_up)
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    preprocessor.grant_invoke(role)

    alias = only(stack, "AWS::Lambda::Alias")
    snap_start = {"ApplyOn": "PublishedVersions"} if isinstance(start_up, SnapStart) else None
    assert only(stack, FUNCTION).get("SnapStart") == snap_start
    assert alias["Name"] == "live"
    assert alias.get("ProvisionedConcurrencyConfig") == configuration
    (name,) = ids(stack, "AWS::Lambda::Alias")
    assert statement_for(stack, "lambda:InvokeFunction")["Resource"] == {"Ref": name}
    assert stack.resolve(preprocessor.invoked["zh"].function_name) != stack.resolve(
        preprocessor.functions["zh"].function_name
    )


def test_a_model_of_ones_own_is_a_layer_of_its_own(stack: cdk.Stack, tmp_path: Path) -> None:
    for name in ("config.cfg", "meta.json", "ner/model"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a model")
    TextPreprocessor(stack, "Preprocessor", english_model=tmp_path)

    variables = {
        function["Environment"]["Variables"]["LANGUAGE"]: function["Environment"]["Variables"].get("LANGUAGE_MODEL")
        for function in functions(stack)
    }
    assert variables == {"en": "/opt/model", "zh": None}
    assert sorted(len(function["Layers"]) for function in functions(stack)) == [2, 3]


def test_models_that_cannot_be_loaded_or_are_too_large_are_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    for name in ("lac_encoder.onnx", "lac_crf_transitions.npy", "word.dic", "tag.dic"):
        (tmp_path / name).write_text("")
    with (tmp_path / "lac_encoder.onnx").open("r+b") as model:
        model.truncate(263_000_000)
    with pytest.raises(InvalidPropsError) as caught:
        TextPreprocessor(stack, "Preprocessor", english_model=tmp_path, chinese_model=str(tmp_path))

    missing, large = caught.value.problems
    assert missing == f"english_model is {tmp_path}: has no config.cfg, meta.json"
    assert large.startswith("chinese_model has 263 MB and the layers have 0: Lambda takes 262 MB")


def test_every_wrong_argument_is_named_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="TextPreprocessor 'Stack/Preprocessor'") as caught:
        TextPreprocessor(
            stack,
            "Preprocessor",
            languages=["en", "en", "fr"],
            memory_size_mb=64,
            timeout=cdk.Duration.hours(1),
            reserved_concurrent_executions=-1,
            lambda_platform=LambdaPlatform(python="2.7"),
        )

    assert list(caught.value.problems) == [
        "languages names one of them twice",
        "languages is 'fr': must be one of 'en', 'zh'",
        "memory_size_mb is 64 MB: must be from 128 to 10240 MB",
        "timeout is 3600 seconds: must be whole seconds from 1 to 900",
        "reserved_concurrent_executions is -1: must be at least 0",
        "lambda_platform: python is '2.7': must be one of '3.11', '3.12', '3.13', '3.14'",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"languages": []}, "languages is empty: name at least one of 'en', 'zh'"),
        ({"languages": ["zh"], "english_model": "x"}, "english_model without 'en' in languages"),
        (
            {"lambda_platform": LambdaPlatform(python="3.11")},
            "lambda_platform.python is '3.11': the languages' libraries have no wheels for its Amazon Linux 2: use a "
            "newer one",
        ),
        (
            {"start_up": ProvisionedConcurrency(executions=3), "reserved_concurrent_executions": 2},
            "start_up.executions is 3: must be at most reserved_concurrent_executions, which is 2",
        ),
        ({"start_up": ProvisionedConcurrency(executions=0)}, "start_up.executions is 0: must be at least 1"),
        (
            {"timeout": cdk.Duration.millis(1500)},
            "timeout is 1.5 seconds: must be whole seconds from 1 to 900",
        ),
        (
            {"timeout": cdk.Duration.seconds(cdk.Token.as_number({"Ref": "Timeout"}))},
            "timeout is known at deployment only: must be known at synth",
        ),
    ],
)
def test_an_argument_that_lambda_would_refuse_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        TextPreprocessor(stack, "Preprocessor", **arguments)

    assert caught.value.problems == (problem,)


def test_missing_bundles_are_an_error_that_names_the_command(
    stack: cdk.Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SM_CONSTRUCTS_BUNDLES", str(tmp_path))

    with pytest.raises(InvalidPropsError, match=r"python -m sm_constructs bundle --python 3\.13 --architecture arm64"):
        TextPreprocessor(stack, "Preprocessor")


def joined(*parts: object) -> dict[str, Any]:
    return {"Fn::Join": ["", list(parts)]}
