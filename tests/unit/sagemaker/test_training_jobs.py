"""Training jobs: what is refused, what is told, and what scripts are given."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sm_local.clock import Clock
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.jobs.host import Host, host_names
from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.jobs.metric_definitions import PrintedMetrics
from sm_local.sagemaker.jobs.program import Program, environment, stop
from sm_local.sagemaker.jobs.registry import Jobs
from sm_local.sagemaker.jobs.script_mode import Script
from sm_local.sagemaker.jobs.training import failure_reason
from sm_local.sagemaker.jobs.training_job import TrainingJob
from sm_local.sagemaker.jobs.warm_pools import WarmPools
from sm_local.sagemaker.role import AssumedRole
from tests.unit.sagemaker.job_requests import job_role, training_request
from tests.unit.sagemaker.recording import RecordingSink

__all__ = ["job_role"]
pytestmark = pytest.mark.usefixtures("job_role")

SPOT: dict[str, Any] = {"EnableManagedSpotTraining": True}
CHANNEL = {
    "ChannelName": "train",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train/"}},
}


def job(name: str = "job", clock: Clock | None = None, **changes: Any) -> TrainingJob:
    request = training_request(TrainingJobName=name, **changes)
    return TrainingJob(request, f"arn:{name}", sink=RecordingSink(), clock=clock or Clock())


def resources(**others: Any) -> dict[str, Any]:
    return {**training_request()["ResourceConfig"], **others}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (SPOT, "MaxWaitTimeInSeconds is required"),
        (
            {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 599}},
            "MaxWaitTimeInSeconds 599 must be greater than or equal to MaxRuntimeInSeconds 600",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}},
            "only allowed when EnableManagedSpotTraining",
        ),
        (
            {
                **SPOT,
                "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
                "ResourceConfig": resources(KeepAlivePeriodInSeconds=60),
            },
            "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining",
        ),
        ({"InputDataConfig": [CHANNEL, CHANNEL]}, "channel names must be unique"),
        ({"InputDataConfig": [{**CHANNEL, "CompressionType": "Gzip"}]}, "CompressionType Gzip"),
        ({"InputDataConfig": [{**CHANNEL, "InputMode": "Pipe"}]}, "input mode Pipe"),
        ({"ResourceConfig": {"InstanceGroups": [], "VolumeSizeInGB": 1}}, "no InstanceGroups"),
        ({"AlgorithmSpecification": {"AlgorithmName": "a", "TrainingInputMode": "File"}}, "no AlgorithmName"),
        ({"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/data"}}, "LocalPath only below /opt/ml"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/other"}, "Could not assume role"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=("}],
                }
            },
            "Invalid regular expression",
        ),
    ],
)
def test_what_sagemaker_refuses_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        job(**changes)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SageMakerError) as refused:
        job(**SPOT, InputDataConfig=[CHANNEL, CHANNEL])
    assert "MaxWaitTimeInSeconds is required" in refused.value.message
    assert "channel names must be unique" in refused.value.message


def test_a_description_has_the_request_without_its_tags_and_what_became_of_it() -> None:
    trained = job(Tags=[{"Key": "k", "Value": "v"}], Environment={"A": "b"}, VpcConfig={"Subnets": ["s"]})
    trained.begin()
    trained.enter("Training")
    trained.training_seconds = 12.4
    trained.end("Completed")

    described = trained.description
    assert "Tags" not in described
    assert (described["Environment"], described["VpcConfig"]) == ({"A": "b"}, {"Subnets": ["s"]})
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Completed", "Completed")
    assert (described["TrainingTimeInSeconds"], described["BillableTimeInSeconds"]) == (12, 12)
    assert [(one["Status"], "EndTime" in one) for one in described["SecondaryStatusTransitions"]] == [
        ("Starting", True),
        ("Training", True),
        ("Completed", True),
    ]


def test_a_warm_pool_is_reused_by_a_job_that_fits_and_gone_after_its_time() -> None:
    clock, pools = Clock(scale=60), WarmPools()
    kept: dict[str, Any] = {"ResourceConfig": resources(KeepAlivePeriodInSeconds=600), "clock": clock}
    first, second = job("first", **kept), job("second", **kept)
    other = job("other", clock=clock, EnableNetworkIsolation=True)
    pools.take(first)
    assert first.description["WarmPoolStatus"] == {"Status": "InUse"}
    first.end("Completed")
    assert first.description["WarmPoolStatus"]["Status"] == "Available"

    pools.take(other)
    assert first.description["WarmPoolStatus"]["Status"] == "Available"
    pools.take(second)
    assert first.description["WarmPoolStatus"]["ReusedByJob"] == "second"
    assert "WarmPoolStatus" not in other.description

    second.end("Completed")
    second.ended = time.time() - 11
    assert second.description["WarmPoolStatus"] == {
        "Status": "Terminated",
        "ResourceRetainedBillableTimeInSeconds": 600,
    }


def test_the_last_of_each_metric_is_kept_and_all_are_published() -> None:
    sink = RecordingSink()
    metrics = PrintedMetrics([{"Name": "train:loss", "Regex": r"loss=([0-9.]+|nan);"}], sink, "job")
    for line in ("loss=2.5; epoch 1", "nothing", "loss=0.5; epoch 2", "loss=1.2.3;", "loss=nan_;"):
        metrics.read(line)

    (final,) = metrics.final
    assert (final["MetricName"], final["Value"]) == ("train:loss", 0.5)
    assert sink.values == [
        ("/aws/sagemaker/TrainingJobs", "train:loss", {"TrainingJobName": "job"}, value, "None") for value in (2.5, 0.5)
    ]


def host(directory: Path, name: str = "127.0.0.1") -> Host:
    return Host(name=name, names=["127.0.0.1", "127.0.0.2"], directory=directory, instance_type="ml.m5.large")


def test_a_script_is_told_what_the_toolkit_tells_it(tmp_path: Path) -> None:
    script = Script(
        {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": "/opt/ml/input/data/code/a.tar.gz",
            "ngram_max": "3",
            "loss": "log_loss",
            "text_features": "true",
            "resume": "/opt/ml/checkpoints",
        }
    )

    assert script.command(host(tmp_path)) == [
        sys.executable, "train.py", "--loss", "log_loss", "--ngram_max", "3",
        "--resume", f"{tmp_path}/checkpoints", "--text_features", "True",
    ]  # fmt: skip
    told = script.variables(host(tmp_path, "127.0.0.2"), {"train": {}, "code": {}})
    assert json.loads(told["SM_HOSTS"]) == ["127.0.0.1", "127.0.0.2"]
    assert told["SM_CURRENT_HOST"] == "127.0.0.2"
    assert told["SM_CHANNEL_TRAIN"] == f"{tmp_path}/input/data/train"
    assert (told["SM_MODEL_DIR"], told["SM_OUTPUT_DATA_DIR"]) == (f"{tmp_path}/model", f"{tmp_path}/output/data")
    assert json.loads(told["SM_HPS"])["ngram_max"] == 3
    assert told["SM_HP_LOSS"] == "log_loss"
    assert json.loads(told["SM_CHANNELS"]) == ["code", "train"]
    assert json.loads(told["SM_TRAINING_ENV"])["is_master"] is False
    assert told["PYTHONPATH"] == f"{tmp_path}/code"


def test_a_host_finds_its_configuration(tmp_path: Path) -> None:
    host(tmp_path).prepare({"a": "1"}, {"train": {"TrainingInputMode": "File"}})

    config = tmp_path / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"a": "1"}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {"train": {"TrainingInputMode": "File"}}
    described = json.loads((config / "resourceconfig.json").read_text())
    assert (described["current_host"], described["hosts"]) == ("127.0.0.1", ["127.0.0.1", "127.0.0.2"])


def test_code_from_s3_is_refused_where_the_container_could_not_download_it(tmp_path: Path, job_role: str) -> None:
    script = Script({"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://bucket/code.tar.gz"})
    with pytest.raises(JobFailedError, match="with network isolation the container cannot download"):
        script.fetch(host(tmp_path), AssumedRole(job_role), isolated=True)


def test_a_script_that_is_not_in_the_code_is_named(tmp_path: Path, job_role: str) -> None:
    place = host(tmp_path)
    place.prepare({}, {})
    with pytest.raises(JobFailedError, match=r"there is no train\.py in /opt/ml/code"):
        Script({"sagemaker_program": "train.py"}).fetch(place, AssumedRole(job_role), isolated=True)


def ran(tmp_path: Path, script: str, *, after: Any = lambda _program: None) -> Program:
    """Run a script to its end."""
    lines: list[str] = []
    program = Program(
        command=[sys.executable, "-c", script],
        directory=tmp_path,
        environment=environment(tmp_path, {}),
        keep_line=lines.append,
    )
    program.start()
    after(program)
    deadline = time.monotonic() + 20
    while program.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.02)
    program.finish()
    return program


def test_a_failure_has_the_end_of_the_error_stream_and_the_exit_code(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('x' * 3000 + '\\nValueError: no labels\\n'); sys.exit(3)"
    program = ran(tmp_path, script)

    reason = failure_reason(host(tmp_path), program, program.exit_code or 0)
    assert len(reason) <= 1024
    assert "ValueError: no labels" in reason
    assert reason.endswith("exit code: 3")


def test_a_failure_is_in_the_algorithms_own_words_if_it_wrote_them(tmp_path: Path) -> None:
    place = host(tmp_path)
    place.prepare({}, {})
    place.failure.write_text("the labels are missing")
    assert failure_reason(place, ran(tmp_path, ""), -9) == "AlgorithmError: the labels are missing, exit code: 137"


@pytest.mark.parametrize(("patient", "code"), [(True, -9), (False, -15)])
def test_a_program_is_asked_to_end_and_killed_when_it_does_not(tmp_path: Path, patient: bool, code: int) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" if patient else ""
    script = f"{ignoring}import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"

    def stop_it(program: Program) -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        stop([program], grace_seconds=0.5)

    assert ran(tmp_path, script, after=stop_it).exit_code == code


def test_programs_are_all_asked_to_end_before_any_is_waited_for(tmp_path: Path) -> None:
    slow = "import signal, sys, time, pathlib; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(.7), sys.exit(0)));"
    programs = []
    for number in range(3):
        directory = tmp_path / str(number)
        directory.mkdir()
        script = f"{slow} pathlib.Path('ready').touch(); time.sleep(60)"
        programs.append(
            Program(
                command=[sys.executable, "-c", script],
                directory=directory,
                environment=environment(directory, {}),
                keep_line=lambda _line: None,
            )
        )
        programs[-1].start()
    while not all((tmp_path / str(number) / "ready").exists() for number in range(3)):
        time.sleep(0.02)

    began = time.monotonic()
    stop(programs)

    assert time.monotonic() - began < 1.9
    assert [program.exit_code for program in programs] == [0, 0, 0]


def test_a_program_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    program = Program(command=["no-such-program"], directory=tmp_path, environment={}, keep_line=lambda _line: None)
    with pytest.raises(JobFailedError, match="cannot run no-such-program: No such file or directory, exit code: 127"):
        program.start()


def test_a_program_sees_neither_the_callers_credentials_nor_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = environment(tmp_path, {"A": "b"})
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["TMPDIR"] == str(tmp_path / "tmp")
    assert found["PATH"].startswith(str(Path(sys.executable).parent))


def test_hosts_are_addresses_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: Any) -> None:
        raise OSError(49, "Can't assign requested address", address)

    monkeypatch.setattr("socket.create_server", refuse)
    with host_names(1) as names:
        assert names == ["127.0.0.1"]
    with pytest.raises(JobFailedError, match=r"sudo ifconfig lo0 alias 127\.0\.0\.1 up"), host_names(2):
        pass


def test_jobs_at_the_same_time_have_hosts_of_their_own() -> None:
    with host_names(2) as one:
        with host_names(2) as other:
            assert not {*one} & {*other}
        with host_names(3) as again:
            assert again[:2] == other


def jobs_of(*names: str) -> Jobs[TrainingJob]:
    jobs = Jobs(
        "Training",
        lambda parameters, arn: TrainingJob(parameters, arn, sink=RecordingSink(), clock=Clock()),
        lambda _job: None,
    )
    for name in names:
        jobs.create(training_request(TrainingJobName=name))
    return jobs


def test_names_are_unique() -> None:
    jobs = jobs_of("a")
    with pytest.raises(SageMakerError, match="Job name must be unique") as refused:
        jobs.create(training_request(TrainingJobName="a"))
    assert refused.value.code == "ResourceInUse"


def test_jobs_are_listed_the_latest_first_a_page_at_a_time_as_the_filters_say() -> None:
    jobs = jobs_of("first", "second", "third")
    jobs.get("second").end("Completed")

    def names(**filters: Any) -> list[str]:
        return [one["TrainingJobName"] for one in jobs.list(filters)["TrainingJobSummaries"]]

    assert names() == ["third", "second", "first"]
    assert names(SortBy="Name", SortOrder="Ascending", NameContains="IR") == ["first", "third"]
    assert names(StatusEquals="Completed") == ["second"]
    page = jobs.list({"MaxResults": 2})
    assert names(MaxResults=2, NextToken=page["NextToken"]) == ["first"]
    assert "NextToken" not in jobs.list({"MaxResults": 3})


def test_a_job_that_has_ended_cannot_be_stopped() -> None:
    jobs = jobs_of("a")
    jobs.stop({"TrainingJobName": "a"})
    assert jobs.describe({"TrainingJobName": "a"})["SecondaryStatus"] == "Stopping"
    jobs.get("a").end("Stopped")
    with pytest.raises(SageMakerError, match="is in status Stopped"):
        jobs.stop({"TrainingJobName": "a"})
    with pytest.raises(SageMakerError, match="Requested resource not found"):
        jobs.stop({"TrainingJobName": "b"})
