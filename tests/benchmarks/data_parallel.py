"""Print what a second host brings: score and seconds of one and two hosts, side by side in one run.

``python -m tests.benchmarks.data_parallel`` runs it, with ``model_src`` on the ``PYTHONPATH``; Linux only. Each host is
a process that is pinned to a core of its own and has one thread, so two hosts have two cores and one has one. Runs
alternate, and of each the best of three counts. "Seconds" are from the start of the first process to the end of the
last. "CPU" is the CPU time of the busiest host: what is left of the seconds where others use the cores, too. The
results of a run stand in docs/classifier.md.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import train as train_module
from rich.console import Console
from rich.table import Table

from sm_local.datasets import LabelledText
from tests.benchmarks.classifiers import Data, mail, reviews

ROUNDS = 3
LOSSES = ("squared_hinge", "log_loss")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    macro_f1: float
    seconds: float
    cpu_seconds: float


def write(file: Path, texts: Sequence[LabelledText]) -> None:
    file.parent.mkdir(parents=True)
    lines = (json.dumps({"text": text.text, "label": text.label}) for text in texts)
    file.write_text("\n".join(lines), encoding="utf-8")


def host(core: int, names: Sequence[str], name: str, directory: Path, loss: str) -> int:
    """Start one host in a process of its own; return its id."""
    process = os.fork()
    if process:
        return process
    os.sched_setaffinity(0, {core})
    output = os.open(directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    environment = {
        **os.environ,
        "SM_HOSTS": json.dumps(list(names)),
        "SM_CURRENT_HOST": name,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    part = directory / f"{len(names)}" / name
    arguments = [sys.executable, train_module.__file__, "--train", str(part), "--validation", str(directory / "test")]
    os.execve(sys.executable, [*arguments, "--model-dir", str(directory / "model"), "--loss", loss], environment)  # noqa: S606


def run(directory: Path, hosts: int, loss: str) -> Run:
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.environ["DATA_PARALLEL_PORT"] = str(server.getsockname()[1])
    names = [f"127.0.0.{number + 1}" for number in range(hosts)]
    cores = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    processes = [host(cores[number], names, name, directory, loss) for number, name in enumerate(names)]
    cpu = []
    for process in processes:
        _, status, usage = os.wait4(process, 0)
        assert status == 0, [(directory / f"{name}.log").read_text() for name in names]
        cpu.append(usage.ru_utime + usage.ru_stime)
    seconds = time.perf_counter() - began
    printed = (directory / f"{names[0]}.log").read_text()
    (score,) = re.findall("^validation:macro_f1=([0-9.]+)$", printed, re.MULTILINE)
    return Run(macro_f1=float(score), seconds=seconds, cpu_seconds=max(cpu))


def best(runs: Sequence[Run]) -> Run:
    assert len({run.macro_f1 for run in runs}) == 1, "the same data must give the same score"
    return Run(
        macro_f1=runs[0].macro_f1,
        seconds=min(run.seconds for run in runs),
        cpu_seconds=min(run.cpu_seconds for run in runs),
    )


def measure(data: Data) -> dict[str, dict[int, Run]]:
    with TemporaryDirectory() as work:
        directory = Path(work)
        write(directory / "test" / "test.jsonl", data.held_out)
        for hosts in (1, 2):
            for number in range(hosts):
                write(directory / str(hosts) / f"127.0.0.{number + 1}" / "shard.jsonl", data.train[number::hosts])
        measured = {}
        for loss in LOSSES:
            runs: dict[int, list[Run]] = {1: [], 2: []}
            for _ in range(ROUNDS):
                for hosts, of_hosts in runs.items():
                    of_hosts.append(run(directory, hosts, loss))
            measured[loss] = {hosts: best(of_hosts) for hosts, of_hosts in runs.items()}
        return measured


def main() -> None:
    """Measure and print a table."""
    console = Console(width=120)
    table = Table(title="One host on one core, two hosts on a core each")
    for column in ("", "loss", "macro-F1, one", "two", "seconds, one", "two", "CPU s, one", "busiest of two"):
        table.add_column(column, justify="right", no_wrap=True)
    for data in (reviews(), mail()):
        for loss, runs in measure(data).items():
            one, two = runs[1], runs[2]
            table.add_row(
                data.name,
                loss,
                *(f"{each.macro_f1:.4f}" for each in (one, two)),
                *(f"{each.seconds:.1f}" for each in (one, two)),
                *(f"{each.cpu_seconds:.1f}" for each in (one, two)),
            )
    console.print(table)


if __name__ == "__main__":
    main()
