"""A connection to a Ray cluster: found or refused in seconds, in a line; token authentication on, usage statistics off.

Ray itself tries for two minutes and then ends the process. So whether something listens is asked first, and whether it
is a cluster that takes us is asked in a process of its own, which may hang or die.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from skipstone.core.errors import SkipstoneError

_CONNECT_SECONDS = 4.0
_ANSWER_SECONDS = 12.0
_START = "start one with: RAY_AUTH_MODE=token ray start --head --disable-usage-stats"
_LOG_PREFIX = re.compile(r"^\[[^]]*\] \S+: ")
_PROBE = """
import json, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps([node["Resources"] for node in ray.nodes() if node["Alive"]]))
"""

Resources = Mapping[str, float]
"""Of a node, as Ray counts them: CPU, GPU, memory in bytes."""


@contextmanager
def connected(address: str) -> Iterator[tuple[ModuleType, list[Resources]]]:
    """(ray, connected to the cluster at `address`; its nodes). One that the caller has connected to is used as it is.

    `address` is host:port of the head node, or "auto": what RAY_ADDRESS says, else the cluster that this machine is
    part of.

    Raises:
        SkipstoneError: ray is not installed, the address is none, nothing answers there, or our token is refused.
    """
    address = demand_listening(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if has_token():
        # Ray uses a token by itself only for a cluster that it started; one that wants none passes over ours.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield ray, alive(ray)
        return
    nodes = _probed(address)
    # Ray prints news of the cluster to stdout, in a thread, whatever it is told of logs; results stand there.
    with redirect_stdout(sys.stderr):
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        try:
            yield ray, nodes
        finally:
            ray.shutdown()


def has_token() -> bool:
    """Is there a token for Ray's authentication, where Ray looks for one?"""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(named).is_file()


def alive(ray: ModuleType) -> list[Resources]:
    """The nodes that live now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def demand_listening(address: str) -> str:
    """The address as it is to be used; `SkipstoneError` where Ray is not installed, or nothing listens there."""
    if find_spec("ray") is None:
        raise SkipstoneError("runner ray needs Ray (some 80 MB): pip install 'skipstone[ray]'")
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    if address == "auto":
        return address
    host, colon, port = address.rpartition(":")
    if "//" in address or not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SkipstoneError(
            f"address {address!r} is not understood, expected host:port of the head node as `ray start --head` prints "
            "it, from a machine that is a node of the cluster"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise SkipstoneError(f"no Ray cluster answers at {address}: {error.strerror or error}; {_START}") from error
    return address


def _probed(address: str) -> list[Resources]:
    command = [sys.executable, "-c", _PROBE, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS)
        said, why = done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        said, why = "", (error.stderr or b"").decode(errors="replace")
    if said:
        nodes: list[Resources] = json.loads(said)
        return nodes
    if "Unauthenticated" in why or "AuthenticationError" in why:
        raise SkipstoneError(
            f"the Ray cluster at {address} refuses our token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to that "
            "which it was started with"
        )
    if address == "auto":
        raise SkipstoneError(f"no Ray cluster runs on this machine; give --address host:port, or {_START}")
    last = why.strip().splitlines()[-1:] or [f"no answer in {_ANSWER_SECONDS:.0f} s"]
    said = _LOG_PREFIX.sub("", last[0])
    raise SkipstoneError(f"what answers at {address} is no Ray cluster that this machine is a node of: {said}")
