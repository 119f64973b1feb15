"""The result database's example, deployed by the CDK CLI: a real PostgreSQL keeps, counts and labels."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.data_api import DataApi, Value
from text_classification.gateways.errors import MisconfiguredError, RejectedError
from text_classification.gateways.result_database import ClassificationRow, DataApiResultStore
from text_classification.logic.migrations import MigrationError
from text_classification.logic.sql_classification import define_classify, remove_classify

from tests.local_aws import ROOT, LocalAws, Stack
from tests.permissions import resource_of, without

pytestmark = pytest.mark.e2e

STACK = "ResultDatabaseExample"
CHINESE, ENGLISH = "这本书很好，我很喜欢", 'Click here, "now", to win free money'
Deploy = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def deploy(local_aws: LocalAws) -> Deploy:
    def deployed(endpoint_name: str, sources: Path = ROOT) -> CompletedProcess[str]:
        return local_aws.cdk(
            "deploy",
            "--all",
            "--require-approval=never",
            f"--build={sys.executable} -m sm_constructs bundle --platform local",
            "--context=lambda_platform=local",
            f"--app=env PYTHONPATH={sources} {sys.executable} docs/examples/result_database.py",
            f"--output={local_aws.state.root / 'cdk.out.result_database'}",
            f"--context=endpoint={endpoint_name}",
        )

    return deployed


@pytest.fixture(scope="module")
def outputs(deploy: Deploy, dev_stack: Stack) -> dict[str, str]:
    answer = deploy(dev_stack.outputs["EndpointName"])
    assert answer.returncode == 0, answer.stdout
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def data_api(outputs: dict[str, str], session: boto3.Session | None = None) -> DataApi:
    budget = TimeBudget(total_seconds=60)
    return DataApi(
        client=(session or boto3.Session()).client("rds-data", config=budget.client_config()),
        cluster_arn=outputs["ClusterArn"],
        secret_arn=outputs["SecretArn"],
        database=outputs["DatabaseName"],
        budget=budget,
    )


@pytest.fixture(scope="module")
def owner(outputs: dict[str, str]) -> DataApi:
    """The database, for somebody who may do anything."""
    return data_api(outputs)


def statements_of(role: str) -> list[dict[str, object]]:
    iam = boto3.client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    return [statement for document in documents for statement in document["Statement"]]


def somebody_with(statements: list[dict[str, object]]) -> boto3.Session:
    """Return the session of a user who may do what the statements say, and nothing else."""
    iam, name = boto3.client("iam"), f"user-{uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def store(outputs: dict[str, str]) -> DataApiResultStore:
    """The store as a function has it that `grant_write` was called for."""
    writer = somebody_with(statements_of(outputs["WriterRoleName"]))
    return DataApiResultStore(data_api=data_api(outputs, writer))


@pytest.fixture
def job(owner: DataApi) -> Iterator[str]:
    """A job's id; what was saved for it is gone afterwards."""
    job_id = f"job-{uuid4().hex}"
    yield job_id
    owner.execute("DELETE FROM classifications WHERE job_id LIKE :pattern", {"pattern": f"{job_id}%"})


def row(job_id: str, index: int = 0, **fields: object) -> ClassificationRow:
    usual = ClassificationRow(
        job_id=job_id,
        text_index=index,
        text="质量太差了，'很失望' \\ \"no\" :label %s\n😀",
        label="bad",
        score=0.75,
        scores={"bad": 0.75, "good": 0.25},
        language="zh",
        model_version="v1",
        classified_at=datetime(2026, 3, 1, 23, 30, 1, 250_000, tzinfo=UTC),
    )
    return replace(usual, **fields)  # type: ignore[arg-type]


def test_rows_are_kept_as_they_are_and_saving_them_twice_changes_nothing(
    owner: DataApi, store: DataApiResultStore, job: str
) -> None:
    rows = [row(job, 0), row(job, 1, language=None, label="spam 100%", scores={"spam 100%": 1.0}, score=1)]

    store.save(rows)
    store.save([replace(rows[0], label="another"), rows[1], row(job, 2)])

    found = owner.execute(
        "SELECT text_index, text, label, score, CAST(scores AS text), language, model_version, "
        "CAST(extract(epoch FROM classified_at) AS double precision) "
        "FROM classifications WHERE job_id = :job ORDER BY text_index",
        {"job": job},
    )
    seconds = rows[0].classified_at.timestamp()
    assert found == [
        (0, rows[0].text, "bad", 0.75, '{"bad": 0.75, "good": 0.25}', "zh", "v1", seconds),
        (1, rows[1].text, "spam 100%", 1.0, '{"spam 100%": 1.0}', None, "v1", seconds),
        (2, rows[0].text, "bad", 0.75, '{"bad": 0.75, "good": 0.25}', "zh", "v1", seconds),
    ]


def test_more_rows_than_one_call_takes_are_saved(owner: DataApi, store: DataApiResultStore, job: str) -> None:
    store.save([row(job, index, text="字" * 10_000) for index in range(60)])

    assert owner.execute("SELECT count(*), min(length(text)) FROM classifications WHERE job_id = :job", {"job": job}) \
        == [(60, 10_000)]  # fmt: skip


def test_a_row_that_the_database_refuses_is_rejected_with_its_reason(store: DataApiResultStore, job: str) -> None:
    with pytest.raises(RejectedError) as caught:
        store.save([row(job, score=1.5)])

    assert caught.value.facts["sql_state"] == "23514"
    assert "classifications_score_check" in caught.value.cause


def test_labels_are_counted_by_day_in_utc(owner: DataApi, store: DataApiResultStore, job: str) -> None:
    night = datetime(2031, 5, 1, 23, 59, tzinfo=UTC)
    store.save([row(job, 0, classified_at=night, score=0.5), row(job, 1, classified_at=night)])
    store.save([row(job, 2, classified_at=night + timedelta(minutes=2))])

    counts = owner.execute(
        "SELECT CAST(day AS text), label, texts, average_score FROM label_counts_per_day "
        "WHERE day >= DATE '2031-05-01' ORDER BY day"
    )

    assert counts == [("2031-05-01", "bad", 2, 0.625), ("2031-05-02", "bad", 1, 0.75)]


def test_texts_of_low_confidence_come_with_the_label_that_was_second(
    owner: DataApi, store: DataApiResultStore, job: str
) -> None:
    unsure = {"spam": 0.5, "good": 0.3, "bad": 0.2}
    store.save([row(job, 0), row(job, 1, label="spam", score=0.5, scores=unsure), row(job, 2, score=0.6)])

    found = owner.execute(
        "SELECT text_index, label, second_label, second_score FROM low_confidence_texts WHERE job_id = :job",
        {"job": job},
    )

    assert found == [(1, "spam", "good", 0.3)]


def test_a_label_whose_share_changes_stands_out(owner: DataApi, store: DataApiResultStore, job: str) -> None:
    now = datetime.now(UTC)
    this_week, before, long_ago = now - timedelta(days=1), now - timedelta(days=20), now - timedelta(days=40)
    labels = [("bad", this_week)] * 60 + [("good", this_week)] * 40 + [("bad", before)] * 20 + [("good", before)] * 80
    labels += [("old", long_ago)] * 5
    store.save([row(job, index, label=label, classified_at=at) for index, (label, at) in enumerate(labels)])

    drift = owner.execute(
        "SELECT label, texts_this_week, texts_before, share_this_week, share_before, drift, z_score "
        "FROM label_share_drift ORDER BY drift DESC"
    )

    z_score = (0.6 - 0.2) / sqrt(0.4 * 0.6 * (1 / 100 + 1 / 100))
    bad, good = drift
    assert bad == pytest.approx(("bad", 60, 20, 0.6, 0.2, 0.4, z_score))
    assert good == pytest.approx(("good", 40, 80, 0.4, 0.8, -0.4, -z_score))


def test_a_week_without_texts_is_no_drift(owner: DataApi, store: DataApiResultStore, job: str) -> None:
    store.save([row(job, classified_at=datetime.now(UTC) - timedelta(days=20))])

    assert owner.execute("SELECT label, share_this_week, drift, z_score FROM label_share_drift") == [
        ("bad", None, None, None)
    ]


@pytest.mark.parametrize("action", ["rds-data:BatchExecuteStatement", "secretsmanager:GetSecretValue"])
def test_saving_needs_each_part_of_the_grant(outputs: dict[str, str], job: str, action: str) -> None:
    granted = statements_of(outputs["WriterRoleName"])
    kept = [statement for statement in granted if statement["Action"] != action]
    assert len(kept) == len(granted) - 1

    with pytest.raises(MisconfiguredError, match=f"not authorized to perform: {action}"):
        DataApiResultStore(data_api=data_api(outputs, somebody_with(kept))).save([row(job)])


def role_of(construct: str) -> str:
    """Return the name of the role of a function of the stack."""
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    name: str
    (name,) = [
        each["PhysicalResourceId"]
        for each in resources
        if each["ResourceType"] == "AWS::IAM::Role" and each["LogicalResourceId"].startswith(construct)
    ]
    return name


def allowed_but(role: str, action: str) -> list[dict[str, object]]:
    """Return a role's statements without an action."""
    kept = []
    for statement in statements_of(role):
        listed = statement["Action"]
        actions = [listed] if isinstance(listed, str) else list(listed)  # type: ignore[call-overload]
        kept.append({**statement, "Action": [each for each in actions if each != action]})
    return [statement for statement in kept if statement["Action"]]


@pytest.mark.parametrize("call", ["ExecuteStatement", "BeginTransaction", "CommitTransaction"])
def test_migrating_needs_each_call_of_its_grant(outputs: dict[str, str], call: str) -> None:
    role = role_of("DatabaseMigrateRole")
    for statements, denied in ((statements_of(role), False), (allowed_but(role, f"rds-data:{call}"), True)):
        migrator = data_api(outputs, somebody_with(statements))
        refused = pytest.raises(MisconfiguredError, match=f"not authorized to perform: rds-data:{call}")
        with refused if denied else nullcontext(), migrator.transaction() as transaction:
            transaction.execute("SELECT 1")


def test_undoing_needs_its_permission(outputs: dict[str, str]) -> None:
    role = role_of("DatabaseMigrateRole")
    whole, part = statements_of(role), allowed_but(role, "rds-data:RollbackTransaction")
    for statements, code in ((part, "AccessDenied"), (whole, None)):
        client = somebody_with(statements).client("rds-data")
        named = {"resourceArn": outputs["ClusterArn"], "secretArn": outputs["SecretArn"]}
        transaction = client.begin_transaction(**named, database=outputs["DatabaseName"])["transactionId"]
        with pytest.raises(ClientError, match=code) if code else nullcontext():
            client.rollback_transaction(**named, transactionId=transaction)


@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_the_default_security_group_is_closed_with_the_permission_to(outputs: dict[str, str], direction: str) -> None:
    assert outputs
    role = role_of("DatabaseNetworkCloseDefaultSecurityGroupRole")
    (statement,) = [each for each in statements_of(role) if "ec2:RevokeSecurityGroupIngress" in str(each["Action"])]
    group = str(statement["Resource"]).rpartition("/")[2].rstrip("']")
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    for statements, code in (
        (statements_of(role), None),
        (allowed_but(role, f"ec2:RevokeSecurityGroup{direction}"), "UnauthorizedOperation"),
    ):
        ec2 = somebody_with(statements).client("ec2")
        with pytest.raises(ClientError, match=code) if code else nullcontext():
            getattr(ec2, f"revoke_security_group_{direction.lower()}")(GroupId=group, IpPermissions=[rule])


def test_who_may_read_may_ask_and_cannot_save(outputs: dict[str, str], job: str) -> None:
    reader = data_api(outputs, somebody_with(statements_of(outputs["ReaderRoleName"])))

    assert reader.execute("SELECT 1") == [(1,)]
    with pytest.raises(MisconfiguredError, match="not authorized to perform: rds-data:BatchExecuteStatement"):
        DataApiResultStore(data_api=reader).save([row(job)])


def test_the_master_user_is_no_superuser_and_needs_its_password(owner: DataApi) -> None:
    assert owner.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user") == [
        ("results_admin", False)
    ]
    wrong = boto3.client("secretsmanager").create_secret(
        Name=f"wrong-{uuid4().hex}", SecretString=json.dumps({"username": "results_admin", "password": "wrong"})
    )
    with pytest.raises(MisconfiguredError, match="password authentication failed"):
        replace(owner, secret_arn=wrong["ARN"]).execute("SELECT 1")


def insert_into(database: DataApi, job: str, times: int) -> None:
    with database.transaction() as transaction:
        for _ in range(times):
            transaction.execute(
                "INSERT INTO classifications VALUES (:job, 0, 't', 'l', 1, CAST('{}' AS jsonb), NULL, 'v', now())",
                {"job": job},
            )


def test_a_transaction_is_rolled_back_as_a_whole(owner: DataApi, job: str) -> None:
    count = "SELECT count(*) FROM classifications WHERE job_id = :job"

    with pytest.raises(RejectedError):
        insert_into(owner, job, times=2)

    assert owner.execute(count, {"job": job}) == [(0,)]
    insert_into(owner, job, times=1)
    assert owner.execute(count, {"job": job}) == [(1,)]


def test_a_statement_that_waits_for_a_lock_lets_others_run(owner: DataApi, store: DataApiResultStore, job: str) -> None:
    import threading

    store.save([row(job)])
    update = "UPDATE classifications SET label = 'x' WHERE job_id = :job"
    with owner.transaction() as transaction:
        transaction.execute(update, {"job": job})
        waiting = threading.Thread(target=owner.execute, args=(update, {"job": job}))
        waiting.start()
        assert owner.execute("SELECT 1") == [(1,)]
        assert waiting.is_alive()
    waiting.join()


def test_sql_labels_texts_by_the_endpoint(owner: DataApi, dev_stack: Stack) -> None:
    labelled = owner.execute(
        "SELECT text, result.label, result.score, CAST(result.scores ->> result.label AS double precision), "
        "result.model_version FROM (VALUES (1, CAST(:chinese AS text)), (2, :english)) AS texts (number, text), "
        "classify(text) AS result ORDER BY number",
        {"chinese": CHINESE, "english": ENGLISH},
    )

    assert [(text, label) for text, label, *_ in labelled] == [(CHINESE, "good"), (ENGLISH, "spam")]
    expected = dev_stack.client().classify([CHINESE, ENGLISH])
    assert [score for *_, score, _, _ in labelled] == [pytest.approx(result.score) for result in expected]
    assert [in_scores for *_, in_scores, _ in labelled] == [pytest.approx(result.score) for result in expected]
    assert {version for *_, version in labelled} == {dev_stack.model_version}


def test_sql_labels_only_with_the_permission_of_the_clusters_role(owner: DataApi) -> None:
    ask = "SELECT (classify(:text)).label"
    role = resource_of(STACK, "AWS::IAM::Role", "SqlClassification")
    with without(role, "sagemaker:InvokeEndpoint"), pytest.raises(RejectedError) as caught:
        owner.execute(ask, {"text": CHINESE})

    assert "not authorized to perform: sagemaker:InvokeEndpoint" in caught.value.cause
    assert owner.execute(ask, {"text": CHINESE}) == [("good",)]


def test_the_default_security_group_of_its_vpc_is_closed(outputs: dict[str, str]) -> None:
    (cluster,) = boto3.client("rds").describe_db_clusters(DBClusterIdentifier=outputs["ClusterArn"])["DBClusters"]
    ec2 = boto3.client("ec2")
    (group,) = ec2.describe_security_groups(
        GroupIds=[each["VpcSecurityGroupId"] for each in cluster["VpcSecurityGroups"]]
    )["SecurityGroups"]
    in_its_vpc = [{"Name": "vpc-id", "Values": [group["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    (default,) = ec2.describe_security_groups(Filters=in_its_vpc)["SecurityGroups"]

    assert (default["IpPermissions"], default["IpPermissionsEgress"]) == ([], [])


def applied(owner: DataApi) -> list[Value]:
    return [name for (name,) in owner.execute("SELECT name FROM schema_migrations ORDER BY number")]


def test_a_migration_that_fails_is_rolled_back_and_the_deployment_with_it(
    deploy: Deploy, owner: DataApi, dev_stack: Stack, tmp_path: Path
) -> None:
    for package in ("sm_constructs", "lambda_src", "model_src"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    migration = tmp_path / "lambda_src/text_classification/migrations/0003_reviewed.sql"
    first = "ALTER TABLE classifications ADD COLUMN reviewed_by text;\n"
    column = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'reviewed_by'"
    before = ["0001_classifications.sql", "0002_views.sql"]

    migration.write_text(f"{first}CREATE INDEX ON classifications (reviewed_when);\n")
    answer = deploy(dev_stack.outputs["EndpointName"], tmp_path)

    assert answer.returncode != 0
    assert "0003_reviewed.sql was rolled back" in answer.stdout
    assert 'column "reviewed_when" does not exist' in answer.stdout
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (applied(owner), owner.execute(column)) == (before, [(0,)])

    migration.write_text(f"{first}CREATE INDEX ON classifications (reviewed_by);\n")
    answer = deploy(dev_stack.outputs["EndpointName"], tmp_path)

    assert answer.returncode == 0, answer.stdout
    assert (applied(owner), owner.execute(column)) == ([*before, "0003_reviewed.sql"], [(1,)])


def test_the_sql_function_can_be_removed_unless_something_uses_it(owner: DataApi, dev_stack: Stack) -> None:
    owner.execute("CREATE VIEW labelled AS SELECT (classify('text')).label")
    with pytest.raises(MigrationError, match="other objects depend on it"):
        remove_classify(owner)
    owner.execute("DROP VIEW labelled")

    remove_classify(owner)
    remove_classify(owner)

    with pytest.raises(RejectedError) as caught:
        owner.execute("SELECT (classify('text')).label")
    assert "function classify(unknown) does not exist" in caught.value.cause
    define_classify(owner, dev_stack.outputs["EndpointName"])
    assert owner.execute("SELECT (classify(:text)).label", {"text": CHINESE}) == [("good",)]
