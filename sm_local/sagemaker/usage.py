"""What a variant's containers use of the machine, as ``/aws/sagemaker/Endpoints`` has it.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html#cloudwatch-metrics-endpoints
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from sm_local.sagemaker.metrics import Publisher


class Usage:
    """Measures and publishes the use of one variant.

    Args:
        publisher: Where the metrics go.
        directory: Where the variant's files are.
        memory_bytes: The memory there is; the machine's when None.
    """

    def __init__(self, publisher: Publisher, directory: Path, memory_bytes: int | None) -> None:
        self._publisher = publisher
        self._directory = directory
        self._memory_bytes = memory_bytes or psutil.virtual_memory().total
        self._before: tuple[float, float] | None = None  # when, and the processors' seconds until then

    def publish(self, pids: Iterable[int], loaded_models: int | None) -> None:
        """Publish what processes and those that they started use since the last time, if there are any.

        Args:
            pids: The containers' processes.
            loaded_models: How many models are loaded, where one container has many.
        """
        processes = list(_with_children(pids))
        if not processes:
            self._before = None
            return
        seconds, memory = _sums(processes)
        now = time.monotonic()
        if self._before is not None:
            began, seconds_before = self._before
            self._publisher.put("CPUUtilization", max(0.0, seconds - seconds_before) / (now - began) * 100)
        self._before = (now, seconds)
        self._publisher.put("MemoryUtilization", memory / self._memory_bytes * 100)
        self._publisher.put("DiskUtilization", _size(self._directory) / psutil.disk_usage(_anchor()).total * 100)
        if loaded_models is not None:
            self._publisher.put("LoadedModelCount", loaded_models)


def _with_children(pids: Iterable[int]) -> Iterable[psutil.Process]:
    for pid in pids:
        try:
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)
        except psutil.Error:
            continue


def _sums(processes: Iterable[psutil.Process]) -> tuple[float, int]:
    """Return the seconds of processors and the bytes of memory that processes use."""
    seconds, memory = 0.0, 0
    for process in processes:
        try:
            times = process.cpu_times()
            seconds += times.user + times.system
            memory += process.memory_info().rss
        except psutil.Error:
            continue
    return seconds, memory


def _size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir())


def _anchor() -> str:
    return Path.cwd().anchor
