"""Start, find and stop the local AWS: a server process and whatever it starts in its turn.

All of them carry the state directory in their environment (:data:`OWNER`), so they are found again after a
crash, without a state file, and a process that merely has a recorded number is never taken for one of them.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from ssl import create_default_context

import psutil

from sm_local.errors import LocalAwsError, log_tail
from sm_local.state import StateDirectory

OWNER = "SM_LOCAL_OWNER"
SERVER_MODULE = "sm_local.server"
START_TIMEOUT_S = 90.0
GRACE_S = 10.0
_POLL_S = 0.2
_children: list[subprocess.Popen[bytes]] = []  # kept: a Popen object that goes away warns of a running process


@dataclass(frozen=True, slots=True)
class Server:
    """A running server process.

    Args:
        pid: Its process number.
        created: When it started, in seconds since the epoch; a reused `pid` has another time.
        port: Where it listens on 127.0.0.1.
        time_scale: How many times as fast as the wall clock its time passes.
    """

    pid: int
    created: float
    port: int
    time_scale: float = 1.0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Health:
    """What a running server says about itself.

    Args:
        recorded_only: Resource types that it keeps without acting on them, each with what is missing.
    """

    recorded_only: Mapping[str, str]


def find_server(state: StateDirectory) -> Server | None:
    """Return the server that runs for this state directory, healthy or not, or None.

    One whose state file is lost or stale is found by its environment.
    """
    recorded = _recorded(state)
    if recorded and _is_owned_server(recorded, state):
        return recorded
    for process in owned_processes(state):
        if server := _as_server(process):
            return server
    return None


def start_server(
    state: StateDirectory, port: int, environment: Mapping[str, str], *, time_scale: float = 1.0
) -> Server:
    """Start the server in a session of its own, so that a Ctrl-C in the terminal does not reach it.

    Args:
        state: What it runs for. Its output goes to ``server_log``, from an empty file on.
        port: Where it shall listen; must be free.
        environment: What it inherits.
        time_scale: How many times as fast as the wall clock its time shall pass.
    """
    state.server_log.parent.mkdir(parents=True, exist_ok=True)
    (state.root / ".gitignore").write_text("*\n")
    state.server_log.write_bytes(b"")
    temporary = _root(state) / "tmp"  # so that nothing is left behind elsewhere, whatever happens
    temporary.mkdir(exist_ok=True)
    options = {"--port": port, "--state-dir": _root(state), "--time-scale": time_scale}
    with state.server_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", SERVER_MODULE, *(str(text) for option in options.items() for text in option)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **environment,
                OWNER: str(_root(state)),
                "TMPDIR": str(temporary),
                "PYTHONUNBUFFERED": "1",
            },
        )
    _children.append(process)
    created = psutil.Process(process.pid).create_time()
    server = Server(pid=process.pid, created=created, port=port, time_scale=time_scale)
    _state_file(state).write_text(json.dumps(asdict(server)))
    return server


def wait_until_healthy(
    server: Server,
    state: StateDirectory,
    *,
    timeout_s: float = START_TIMEOUT_S,
    on_wait: Callable[[float], None] = lambda _elapsed_s: None,
) -> Health:
    """Return the server's first answer to a health check.

    Args:
        server: Just started.
        state: What it runs for.
        timeout_s: How long to wait.
        on_wait: Called between two checks with the seconds gone by.

    Raises:
        LocalAwsError: The server ended, or did not answer in time; with the end of its log.
    """
    began = time.monotonic()
    while (elapsed_s := time.monotonic() - began) < timeout_s:
        if health := server_health(server, state):
            return health
        if not is_running(server):
            raise LocalAwsError("The local AWS ended while it was starting. The end of its log:", _log(state))
        on_wait(elapsed_s)
        time.sleep(_POLL_S)
    raise LocalAwsError(
        f"The local AWS does not answer at {server.url} after {timeout_s:.0f} s. "
        f"The end of its log ({state.server_log}):",
        _log(state),
    )


def server_health(server: Server, state: StateDirectory) -> Health | None:
    """Return what the server says about itself, or None while it does not answer."""
    try:
        context = create_default_context(cafile=str(state.ca_bundle))
        connection = HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context)
        try:
            connection.request("GET", "/_sm_local/health")
            response = connection.getresponse()
            health = json.loads(response.read())
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):  # no bundle yet, nobody there, not ours
        return None
    if response.status != 200 or health.get("status") != "running":
        return None
    return Health(recorded_only=health["recorded_only"])


def stop(state: StateDirectory, *, grace_s: float = GRACE_S) -> int:
    """Stop the server and everything that it started, and return how many processes that were.

    Each gets SIGTERM, and SIGKILL after `grace_s` seconds. Right after a crash too: what a dead server left
    behind is found and stopped.

    Raises:
        LocalAwsError: A process does not even end on SIGKILL.
    """
    stopped: set[psutil.Process] = set()
    for _ in range(5):  # a process may start another one while it is told to end
        alive = _with_descendants(owned_processes(state))
        if not alive:
            _state_file(state).unlink(missing_ok=True)
            shutil.rmtree(_root(state) / "tmp", ignore_errors=True)
            for child in _children:
                child.poll()  # psutil has waited for it, which its Popen object does not know
            return len(stopped)
        stopped.update(alive)
        _end(alive, grace_s)
    numbers = ", ".join(str(process.pid) for process in alive)
    raise LocalAwsError(f"Some processes of the local AWS do not end: {numbers}.")


def owned_processes(state: StateDirectory) -> list[psutil.Process]:
    """Return the running processes that were started for this state directory."""
    root = str(_root(state))
    return [process for process in psutil.process_iter() if _environment(process).get(OWNER) == root]


def is_running(server: Server) -> bool:
    process = _process(server)
    return process is not None and not _is_zombie(process)


@contextmanager
def exclusive(state: StateDirectory) -> Iterator[None]:
    """Let one process at a time start or stop this local AWS; the others wait."""
    state.root.mkdir(parents=True, exist_ok=True)
    with (state.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end(processes: list[psutil.Process], grace_s: float) -> None:
    for signal_by_name in ("terminate", "kill"):
        for process in processes:
            try:
                getattr(process, signal_by_name)()
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + grace_s
        while processes and time.monotonic() < deadline:
            _, left = psutil.wait_procs(processes, timeout=_POLL_S)
            # One that has ended stays a zombie until its parent looks, and the system's first process takes its time.
            processes = [process for process in left if not _is_zombie(process)]


def _with_descendants(processes: list[psutil.Process]) -> list[psutil.Process]:
    family = set(processes)
    for process in processes:
        try:
            family.update(process.children(recursive=True))
        except psutil.Error:
            continue
    family.discard(psutil.Process())
    return [process for process in family if process.is_running() and not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):  # ended meanwhile, another user's, or the system's own
        return {}


def _process(server: Server) -> psutil.Process | None:
    try:
        process = psutil.Process(server.pid)
        return process if abs(process.create_time() - server.created) < 1 else None
    except psutil.Error:
        return None


def _is_owned_server(server: Server, state: StateDirectory) -> bool:
    process = _process(server)
    return process is not None and _environment(process).get(OWNER) == str(_root(state))


def _as_server(process: psutil.Process) -> Server | None:
    try:
        arguments = process.cmdline()
        if SERVER_MODULE not in arguments or "--port" not in arguments:
            return None
        options = dict(itertools.pairwise(arguments))
        return Server(
            pid=process.pid,
            created=process.create_time(),
            port=int(options["--port"]),
            time_scale=float(options["--time-scale"]),
        )
    except psutil.Error:
        return None


def _recorded(state: StateDirectory) -> Server | None:
    try:
        return Server(**json.loads(_state_file(state).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _state_file(state: StateDirectory) -> Path:
    return state.root / "server.json"


def _log(state: StateDirectory) -> list[str]:
    return log_tail(state.server_log.read_text(errors="replace"))


def _root(state: StateDirectory) -> Path:
    return state.root.resolve()
