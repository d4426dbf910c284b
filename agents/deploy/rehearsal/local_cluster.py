"""Local cluster: a SuperLink and SuperNodes as processes of this machine, for rehearsals and tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ..run import CONNECTION, QUIET, write_connection

_PATIENCE_S = 60.0
_SCRIPTS = str(Path(sys.executable).parent)


@dataclass(frozen=True)
class Security:
    """TLS and, with keys, authentication of the nodes.

    Attributes:
        authority: PEM file of the certificate authority.
        certificate: of the SuperLink, for its address.
        key: of that certificate.
        node_keys: private key of each node, by its name; empty = nodes are not authenticated.
    """

    authority: Path
    certificate: Path
    key: Path
    node_keys: Mapping[str, Path] = field(default_factory=dict)


class LocalCluster:
    """Starts and ends processes; use it as a context manager, so that none is left behind.

    Args:
        folder: for logs, one per process.
        security: None = plain connections.
        address: address to listen on.
    """

    def __init__(self, folder: Path, security: Security | None = None, address: str = "127.0.0.1"):
        self.folder, self.security, self.address = folder, security, address
        self.port = free_port(address)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def superlink(self) -> str:
        """HOST:PORT of the SuperLink."""
        return f"{self.address}:{self.port}"

    def __enter__(self) -> LocalCluster:
        """Start the SuperLink and wait until it listens."""
        arguments = [
            "--host",
            self.address,
            "--port",
            str(self.port),
            "--disable-runtime-dependency-installation",
        ]
        if self.security is None:
            arguments.append("--insecure")
        else:
            files = {"ca-certfile": self.security.authority, "certfile": self.security.certificate}
            files["keyfile"] = self.security.key
            arguments += [part for name, path in files.items() for part in (f"--ssl-{name}", str(path))]
            if self.security.node_keys:
                arguments.append("--enable-supernode-auth")
        self._start("superlink", "flower-superlink", arguments)
        try:
            self._await_port()
        except TimeoutError:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process that was started."""
        self.stop()

    def start_node(self, name: str, **config: str | float) -> None:
        """Start a SuperNode of this name; further keys of its configuration with `_` for `-`."""
        said = {"name": name, **{key.replace("_", "-"): value for key, value in config.items()}}
        text = " ".join(f'{key}="{v}"' if isinstance(v, str) else f"{key}={v}" for key, v in said.items())
        arguments = [
            "--superlink",
            self.superlink,
            "--host",
            self.address,
            "--port",
            str(free_port(self.address)),
        ]
        arguments += ["--node-config", text, "--max-retries", "3"]
        if self.security is None:
            arguments.append("--insecure")
        else:
            arguments += ["--root-certificates", str(self.security.authority)]
            if name in self.security.node_keys:
                arguments += ["--auth-supernode-private-key", str(self.security.node_keys[name])]
        self._start(name, "flower-supernode", arguments)

    def register(self, name: str) -> None:
        """Let the SuperLink accept the key of a node.

        Raises:
            RuntimeError: Flower refuses it.
        """
        assert self.security is not None
        home = self.folder / "register-home"
        write_connection(home, self.superlink, self.security.authority)
        public = self.security.node_keys[name].parent / f"{name}.pub"
        done = subprocess.run(
            [str(Path(_SCRIPTS) / "flwr"), "supernode", "register", str(public), CONNECTION],
            env={**os.environ, **QUIET, "FLWR_HOME": str(home)},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name}: its key was not registered: {(done.stderr or done.stdout).strip()}")

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a node and everything that it started; SIGKILL is the power cut."""
        process = self._processes.pop(name)
        _signal(process, how)
        process.wait(timeout=_PATIENCE_S)

    def freeze(self, name: str) -> None:
        """Nothing more is heard of a node until `thaw`, though it is not gone: a cut network."""
        _signal(self._processes[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """A frozen node goes on where it stopped."""
        _signal(self._processes[name], signal.SIGCONT)

    def stop(self) -> None:
        """End all processes, nodes first: politely, then not."""
        for process in reversed(self._processes.values()):
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + 10.0
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(deadline - time.monotonic(), 0.1))
            _signal(process, signal.SIGKILL)
            process.wait(timeout=_PATIENCE_S)
        self._processes.clear()

    def log(self, name: str) -> str:
        """What a process has printed so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _start(self, name: str, script: str, arguments: list[str]) -> None:
        environment = {**os.environ, **QUIET, "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1", "NO_COLOR": "1"}
        environment["FLWR_HOME"] = str(self.folder / "flower-home")
        # Flower starts its helpers by their names, which a virtual environment may not have on the path.
        environment["PATH"] = os.pathsep.join([_SCRIPTS, environment.get("PATH", "")])
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(Path(_SCRIPTS) / script), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    def _await_port(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            if self._processes["superlink"].poll() is not None:
                break
            time.sleep(0.2)
        raise TimeoutError(
            f"superlink: not listening on {self.superlink}; see {self.folder / 'superlink.log'}"
        )


def free_port(address: str = "127.0.0.1") -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _signal(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """To the process and its children: each was started with a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
