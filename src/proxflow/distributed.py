"""A run in several processes: JAX's own distributed runtime, started, watched and left.

    start(coordinator, processes, process)      every process says where process 0 is, how many there are, which it is
    agreed(x), shared(bytes)                    what process 0 says: a clock or a file is one process's, a step is all's
    finish()                                    the processes part; process 0 goes on alone

All processes run the same program on the same numbers, and only process 0 prints and writes. JAX finds devices, and
the processes of Slurm and MPI, by itself; its collectives are gloo's on CPUs and NCCL's on GPUs.

What it adds is a lifeline. A collective whose partner was killed may wait for ever, and JAX's own watch ends the
process with a stack trace. So each process keeps a connection to process 0 on which nothing is ever said but "left";
when one breaks without that word, all end within seconds, with one line and exit code 3. A machine that loses its
power closes no connection: keepalive and JAX's heartbeats find that, within half a minute.

Bad at: going on with fewer processes. The run ends, and resumes from its checkpoint on as many as there are then.
"""

from __future__ import annotations

import atexit
import contextlib
import hmac
import os
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

__all__ = ["LOST", "abandon", "agreed", "check_alike", "finish", "first", "listen", "processes", "shared", "start"]

LOST = 3  # the exit code of a process that lost another one
_HEARTBEAT = 30  # seconds without a sign of life from a process before JAX gives it up
_START = 120  # seconds to wait for all processes to come
_PART = 300  # seconds to wait for them at the end
_TOKEN = 16
_LEFT = b"left"

_lifelines: list[_Lifeline] = []


def start(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> int:
    """Join this process to the others of its run, before anything is computed; return how many there are.

    Parameters
    ----------
    coordinator
        HOST:PORT of process 0: a name or address the others reach it by, and any free port.
    processes, process
        How many there are, and which this one is, from 0.

    None of the three: as Slurm, MPI or the cloud say, and one process if they say nothing.

    Raises
    ------
    ValueError
        Only some of the three, one out of range, or JAX has computed already. Where the others do not come within two
        minutes, the process ends with one line and exit code 2.
    """
    import jax
    import numpy as np

    from proxflow.sharded import over_devices, row_mesh

    given = (coordinator, processes, process)
    if any(part is None for part in given) and any(part is not None for part in given):
        raise ValueError("give all of coordinator (HOST:PORT of process 0), processes and process, or none of them.")
    if coordinator is not None and processes is not None and process is not None:
        host, _, port = coordinator.rpartition(":")
        if not host or "/" in host or not (port.isdecimal() and 0 < int(port) < 2**16):
            raise ValueError(
                f"the coordinator must be HOST:PORT, such as node1:1234, of a port up to 65535, got {coordinator!r}."
            )
        if not 0 <= process < processes:
            raise ValueError(f"process {process} of {processes}: processes are counted from 0.")
        _check_address(host, int(port), here=process == 0)
    patience = threading.Timer(_START, _give_up, given)
    patience.daemon = True
    patience.start()
    try:
        jax.config.update("jax_enable_preemption_service", False)
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=_START + 60, heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_PART, cluster_detection_method=None if coordinator is None else "deactivate",
        )  # fmt: skip
    except ValueError as problem:
        if coordinator is None and "coordinator_address" in str(problem):
            return 1  # no cluster that JAX knows of
        raise
    except RuntimeError as problem:
        raise ValueError(f"cannot join the other processes: {str(problem).splitlines()[0]}") from None
    finally:
        patience.cancel()
    if jax.process_count() > 1:
        with _quiet():
            np.asarray(over_devices(np.zeros(1, np.float32), row_mesh()))  # the first collective connects all devices
            _lifelines.append(_Lifeline.tie(None if coordinator is None else coordinator.rpartition(":")[0]))
        atexit.register(_at_exit)
        sys.excepthook = partial(_report, sys.excepthook)
    return jax.process_count()


def _give_up(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """End a process that waits for others in vain, before JAX does so with a stack trace."""
    where = "" if coordinator is None else f" at {coordinator}"
    count = "" if processes is None else f" {processes}"
    print(f"proxflow: not all{count} processes met{where} within {_START} s.", file=sys.stderr, flush=True)
    os._exit(2)


def processes() -> int:
    """How many processes this run has; 1 without `start`."""
    jax = sys.modules.get("jax")
    return 1 if jax is None or not _lifelines else jax.process_count()


def first() -> bool:
    """Whether this is the process that prints and writes."""
    jax = sys.modules.get("jax")
    return jax is None or jax.process_index() == 0


def shared(content: bytes | None) -> bytes | None:
    """What process 0 gives here; all must ask."""
    return content if processes() == 1 else _broadcast(content)


def _broadcast(content: bytes | None) -> bytes | None:
    import numpy as np
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = int(broadcast_one_to_all(np.int32(-1 if content is None else len(content))))
    if length < 0:
        return None
    mine = np.frombuffer(content, np.uint8) if first() and content is not None else np.zeros(length, np.uint8)
    return np.asarray(broadcast_one_to_all(mine)).astype(np.uint8).tobytes()


def agreed(yes: bool) -> bool:
    """What process 0 says; all must ask, for what depends on it is done together or not at all."""
    return yes if processes() == 1 else shared(b"y" if yes else b"n") == b"y"


def check_alike(mark: str) -> None:
    """Raise ValueError in a process whose mark is not that of process 0."""
    if processes() > 1 and shared(mark.encode()) != mark.encode():
        import jax

        raise ValueError(f"process {jax.process_index()} has other data or settings than process 0.")


def finish() -> None:
    """Part from the other processes, once all have what they need: process 0 goes on alone, on its own devices."""
    if not _lifelines:
        return
    import jax

    shared(b"")  # none leaves before all are here
    _lifelines.pop().leave()
    jax.distributed.shutdown()


def abandon(code: int) -> None:
    """End a process that failed, if others wait for it; JAX would have it wait for them."""
    if _lifelines:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def listen(seconds: float = 3.0) -> None:
    """After an error: if it came of another process's end, the lifeline says so and ends this one meanwhile."""
    if _lifelines:
        time.sleep(seconds)


def _check_address(host: str, port: int, *, here: bool) -> None:
    """Say at once what would be waited for in vain: a name nobody knows; on process 0, a port that somebody has."""
    try:
        socket.getaddrinfo(host.strip("[]"), port)
    except OSError as problem:
        raise ValueError(f"the coordinator's host {host!r} is not known here: {problem.strerror or problem}.") from None
    if here:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", port))
            except OSError as problem:
                raise ValueError(
                    f"port {port} cannot be had on this machine ({problem.strerror}): choose another."
                ) from None


def _report(usual: Callable[..., Any], *error: Any) -> None:
    """An error that nobody caught: if another process's end is behind it, the lifeline says that instead."""
    listen()
    usual(*error)


def _at_exit() -> None:
    if getattr(sys, "last_value", None) is not None:  # an error that nobody caught
        abandon(1)
    finish()


# ---------------------------------------------------------------------- the lifeline


class _Lifeline:
    """Connections between process 0 and each of the others, watched by one thread each."""

    def __init__(self, connections: dict[int, socket.socket]) -> None:
        self._connections = connections
        self._leaving = False
        for process, connection in connections.items():
            _keep_alive(connection)
            threading.Thread(target=self._watch, args=(process, connection), daemon=True).start()

    @classmethod
    def tie(cls, host: str | None) -> _Lifeline:
        import jax

        if jax.process_index() > 0:
            port, token, *named = _split(_broadcast(None))
            connection = socket.create_connection((host or named[0].decode(), int(port)), timeout=_START)
            connection.settimeout(None)
            connection.sendall(token + struct.pack("!I", jax.process_index()))
            return cls({0: connection})
        token = secrets.token_bytes(_TOKEN)
        others: dict[int, socket.socket] = {}
        with socket.create_server(("", 0)) as server:
            server.settimeout(_START)
            _broadcast(_joined(str(server.getsockname()[1]).encode(), token, socket.gethostname().encode()))
            while len(others) < jax.process_count() - 1:
                connection, _ = server.accept()
                connection.settimeout(_START)
                greeting = _received(connection, _TOKEN + 4)
                if hmac.compare_digest(greeting[:_TOKEN], token):
                    connection.settimeout(None)
                    others[struct.unpack("!I", greeting[_TOKEN:])[0]] = connection
        return cls(others)

    def _watch(self, process: int, connection: socket.socket) -> None:
        try:
            said = _received(connection, len(_LEFT))
        except OSError:
            said = b""
        if said == _LEFT or self._leaving:
            return
        print(
            f"proxflow: process {process} of this run has ended; this one ends, too. What was written stays: run it"
            " again with --resume, on any number of processes.",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        os._exit(LOST)  # the main thread may be waiting for that process in a collective

    def leave(self) -> None:
        self._leaving = True
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.sendall(_LEFT)


def _received(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count and (part := connection.recv(count - len(content))):
        content += part
    return content


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)


def _joined(port: bytes, token: bytes, host: bytes) -> bytes:
    return token + port + b" " + host


def _split(content: bytes | None) -> tuple[bytes, bytes, bytes]:
    assert content is not None
    port, _, host = content[_TOKEN:].partition(b" ")
    return port, content[:_TOKEN], host


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Drop what gloo prints from C++ when it connects."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
