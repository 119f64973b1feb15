"""The hosts of one training job, and two ways for them to speak: everything to the first host, and from it to all.

The hosts form a star. The first of ``SM_HOSTS`` listens on :data:`PORT`, or on the port that the environment's
``DATA_PARALLEL_PORT`` names; the others connect to it, and try again until it is there. Arrays travel as a header of
JSON and their own bytes, in the order of this machine: nothing that is received is ever unpickled. Who connects without
naming the same job and hosts is turned away. Traffic between the hosts of a training job is encrypted by SageMaker
where the job asks for that (``EnableInterContainerTrafficEncryption``), not here.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

PORT = 29_400
"""Where the first host listens, unless ``DATA_PARALLEL_PORT`` says otherwise."""

COMING = 600.0
"""Seconds in which every host must have come: SageMaker starts them together, but their data may take minutes."""

SILENCE = 1_800.0
"""Seconds without a sign of life after which a host counts as lost; a host that dies is noticed at once."""

Array: TypeAlias = npt.NDArray[Any]

_TYPES = ("uint8", "int32", "int64", "uint64", "float32", "float64")
_LONGEST_HEADER = 1 << 20
_LARGEST_ARRAY = 1 << 36
_RETRY_SECONDS = 0.2


class HostError(RuntimeError):
    """A host did not come, was lost, or has failed; the message names it."""


class Group(Protocol):
    """The hosts that train together.

    Every host makes the same calls in the same order. :attr:`rank` is 0 on the first host.
    """

    size: int
    rank: int

    def gather(self, arrays: Sequence[Array]) -> list[list[Array]]:
        """Send ``arrays`` to the first host; return there those of every host, in the hosts' order, elsewhere none."""

    def broadcast(self, arrays: Sequence[Array]) -> list[Array]:
        """Return, on every host, the ``arrays`` of the first one; those of the others are ignored."""


class Alone:
    """A single host, which sends nothing."""

    size = 1
    rank = 0

    def gather(self, arrays: Sequence[Array]) -> list[list[Array]]:
        """Return ``arrays``, as those of the only host."""
        return [list(arrays)]

    def broadcast(self, arrays: Sequence[Array]) -> list[Array]:
        """Return ``arrays``."""
        return list(arrays)


class Connection:
    """One end of a connection between two hosts.

    Args:
        name: Of the other host.
        stream: A connected socket.
    """

    def __init__(self, name: str, stream: socket.socket) -> None:
        self.name = name
        self._stream = stream
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def send(self, arrays: Sequence[Array] = (), header: Mapping[str, object] = MappingProxyType({})) -> None:
        """Send ``arrays`` and what else the ``header`` says.

        Raises:
            HostError: The other host is lost, or said before why it failed.
        """
        contiguous = [np.ascontiguousarray(array) for array in arrays]
        text = json.dumps({**header, "arrays": [(array.dtype.name, array.shape) for array in contiguous]}).encode()
        try:
            self._stream.sendall(struct.pack("!I", len(text)) + text)
            for array in contiguous:
                self._stream.sendall(array.data.cast("B") if array.size else b"")
        except OSError as error:
            with suppress(TimeoutError):
                self._stream.settimeout(1)
                self.receive()  # raises what the other host said last
            raise self._lost(error) from error

    def receive(self) -> tuple[list[Array], Mapping[str, Any]]:
        """Return the arrays and the header that the other host sent.

        Raises:
            HostError: The other host is lost, has failed, or speaks something else.
        """
        try:
            (length,) = struct.unpack("!I", self._bytes(4))
            if length > _LONGEST_HEADER:
                raise HostError(f"{self.name} sends something else than a host of this training job")
            header = json.loads(self._bytes(length))
            arrays = [self._array(dtype, shape) for dtype, shape in header.get("arrays", ())]
        except OSError as error:
            raise self._lost(error) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise HostError(f"{self.name} sends something else than a host of this training job") from error
        if "error" in header:
            raise HostError(f"{self.name}: {header['error']}")
        return arrays, header

    def wait(self, seconds: float) -> None:
        """Let every later call fail when it has to wait longer."""
        self._stream.settimeout(seconds)

    def close(self) -> None:
        """End the connection."""
        self._stream.close()

    def _array(self, dtype: str, shape: Sequence[int]) -> Array:
        size = math.prod(shape)
        if dtype not in _TYPES or min(shape, default=0) < 0 or size * 8 > _LARGEST_ARRAY:
            raise ValueError(dtype, shape)
        array = np.empty(shape, dtype)
        if size:
            self._fill(array.data.cast("B"))
        return array

    def _bytes(self, length: int) -> bytes:
        buffer = bytearray(length)
        self._fill(memoryview(buffer))
        return bytes(buffer)

    def _fill(self, view: memoryview) -> None:
        while view:
            received = self._stream.recv_into(view)
            if not received:
                raise ConnectionError("it ended the connection")
            view = view[received:]

    def _lost(self, error: OSError) -> HostError:
        said = f"it was silent for {self._stream.gettimeout():.0f} s" if isinstance(error, TimeoutError) else error
        return HostError(f"{self.name} is lost: {said}")


class Hosts:
    """Several hosts.

    Args:
        rank: Of this host among all: 0 is the first.
        size: How many there are.
        connections: To all others on the first host, in their order; to the first host on the others.
    """

    def __init__(self, *, rank: int, size: int, connections: Sequence[Connection]) -> None:
        self.rank = rank
        self.size = size
        self._connections = connections

    def gather(self, arrays: Sequence[Array]) -> list[list[Array]]:
        """Send ``arrays`` to the first host; return there those of every host, in the hosts' order, elsewhere none."""
        if not self.rank:
            return [list(arrays), *(connection.receive()[0] for connection in self._connections)]
        self._connections[0].send(arrays)
        return []

    def broadcast(self, arrays: Sequence[Array]) -> list[Array]:
        """Return, on every host, the ``arrays`` of the first one; those of the others are ignored."""
        if self.rank:
            return self._connections[0].receive()[0]
        for connection in self._connections:
            connection.send(arrays)
        return list(arrays)

    def fail(self, message: str) -> None:
        """Tell the hosts that this one is connected to why it fails."""
        for connection in self._connections:
            with suppress(HostError):
                connection.wait(10)
                connection.send(header={"error": message})

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.close()


def port() -> int:
    """Return the port that the environment names, or :data:`PORT`."""
    return int(os.environ.get("DATA_PARALLEL_PORT") or PORT)


@contextmanager
def connected(
    names: Sequence[str],
    current: str,
    *,
    job: str,
    coming: float = COMING,
    silence: float = SILENCE,
) -> Iterator[Group]:
    """Connect the hosts ``names``; when the body fails, say so to the others before the connections end.

    Args:
        names: Of all hosts, in the same order on each: names or addresses.
        current: Which of them this is.
        job: What they train. A host that trains anything else is turned away.
        coming: Seconds in which all must have come.
        silence: Seconds without a sign of life after which a host counts as lost.

    Raises:
        HostError: A host did not come or was lost, or ``current`` is not one of ``names``.
    """
    if len(names) == 1:
        yield Alone()
        return
    if current not in names or len(set(names)) != len(names):
        raise HostError(f"{current} must be one of the hosts, each of which is named once: {', '.join(names)}")
    deadline = time.monotonic() + coming
    rank = names.index(current)
    said = {"hosts": list(names), "job": job}
    connections = [_call(names[0], current, said, deadline)] if rank else _listen(names, said, deadline)
    for connection in connections:
        connection.wait(silence)
    group = Hosts(rank=rank, size=len(names), connections=connections)
    try:
        yield group
    except HostError as error:
        group.fail(str(error))
        raise
    except BaseException as error:
        group.fail(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        raise
    finally:
        group.close()


def _listen(names: Sequence[str], said: Mapping[str, object], deadline: float) -> list[Connection]:
    """Return the connections of all other hosts, in their order."""
    came: dict[str, Connection] = {}
    with _server(names[0], deadline) as server:
        while missing := [name for name in names[1:] if name not in came]:
            try:
                server.settimeout(_left(deadline))
                stream, _ = server.accept()
            except TimeoutError as error:
                for connection in came.values():
                    connection.close()
                raise HostError(f"{' and '.join(missing)} did not come in time to {names[0]}:{port()}") from error
            connection = Connection("who connects", stream)
            connection.wait(min(10, _left(deadline)))
            with suppress(HostError):
                _, header = connection.receive()
                connection.name = str(header.get("host"))
                if connection.name in missing and {key: header.get(key) for key in said} == said:
                    connection.send()
                    came[connection.name] = connection
                    continue
                connection.send(header={"error": f"not expected here: {names[0]}:{port()} trains {said['job']}"})
            connection.close()
    return [came[name] for name in names[1:]]


def _server(name: str, deadline: float) -> socket.socket:
    while True:
        try:
            return socket.create_server((name, port()))
        except OSError as error:  # the name may not be known yet, or another job may be about to end
            if not _left(deadline) > _RETRY_SECONDS:
                raise HostError(f"cannot listen on {name}:{port()}: {error}") from error
        time.sleep(_RETRY_SECONDS)


def _call(name: str, current: str, said: Mapping[str, object], deadline: float) -> Connection:
    """Return the connection to the first host.

    It may not be there yet, nor its name; or another training's first host may be there, which will not be for long.
    """
    while True:
        try:
            return _introduced(name, current, said, deadline)
        except OSError as error:
            if not _left(deadline) > _RETRY_SECONDS:
                raise HostError(f"{name}:{port()} cannot be reached in time: {error}") from error
        except HostError:
            if not _left(deadline) > _RETRY_SECONDS:
                raise
        time.sleep(_RETRY_SECONDS)


def _introduced(name: str, current: str, said: Mapping[str, object], deadline: float) -> Connection:
    """Return a connection to the first host that it has taken."""
    connection = Connection(name, socket.create_connection((name, port()), timeout=min(10, _left(deadline))))
    connection.wait(_left(deadline))
    try:
        connection.send(header={"host": current, **said})
        connection.receive()
    except HostError:
        connection.close()
        raise
    return connection


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)
