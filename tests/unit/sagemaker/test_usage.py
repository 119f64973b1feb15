"""What a variant's containers use of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sm_local.sagemaker.metrics import INSTANCES, INSTANCES_NAMESPACE, SERVERLESS_COMPUTE, Publisher
from sm_local.sagemaker.usage import Usage
from tests.unit.sagemaker.recording import RecordingSink


def usage(sink: RecordingSink, directory: Path, memory: int | None = None) -> Usage:
    return Usage(Publisher(sink, INSTANCES, ({},), namespace=INSTANCES_NAMESPACE), directory, memory)


def test_memory_and_disk_are_published_in_percent(tmp_path: Path) -> None:
    sink = RecordingSink()
    (tmp_path / "model").write_bytes(b"x" * 1_000_000)
    idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        time.sleep(0.5)
        resident = psutil.Process(idle.pid).memory_info().rss
        usage(sink, tmp_path, resident * 2).publish([idle.pid], None)
    finally:
        idle.communicate(b"\n")

    assert sink.of("MemoryUtilization")[0] == pytest.approx(50, rel=0.2)
    assert sink.of("DiskUtilization")[0] == pytest.approx(1e8 / psutil.disk_usage("/").total)
    assert {namespace for namespace, *_ in sink.values} == {"/aws/sagemaker/Endpoints"}


def test_processors_are_published_from_the_second_time_on(tmp_path: Path) -> None:
    sink = RecordingSink()
    measuring = usage(sink, tmp_path)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        measuring.publish([busy.pid], None)
        assert sink.of("CPUUtilization") == []
        time.sleep(1)
        measuring.publish([busy.pid], None)
    finally:
        busy.kill()
        busy.wait()
    assert 5 < sink.of("CPUUtilization")[0] <= 110


def test_nothing_is_published_while_nothing_runs(tmp_path: Path) -> None:
    sink = RecordingSink()
    usage(sink, tmp_path).publish([], 3)
    assert sink.values == []


def test_loaded_models_are_counted_where_there_are_many(tmp_path: Path) -> None:
    sink = RecordingSink()
    usage(sink, tmp_path).publish([os.getpid()], 3)
    assert sink.of("LoadedModelCount") == [3]


def test_of_serverless_compute_only_the_memory_is_published(tmp_path: Path) -> None:
    sink = RecordingSink()
    serverless = Usage(Publisher(sink, SERVERLESS_COMPUTE, ({},)), tmp_path, 1024**3)
    serverless.publish([os.getpid()], None)
    assert [name for _, name, *_ in sink.values] == ["MemoryUtilization"]
