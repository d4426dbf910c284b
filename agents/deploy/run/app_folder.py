"""Folder of the Flower app and of Flower's own configuration, as `flwr run` wants them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ....common.files import write_bytes, write_folder, write_text
from ..settings import RUN_CONFIG_KEY, LiveSettings

CONNECTION = "deployment"
"""Name of the connection in the written `config.toml`."""

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment in which Flower neither reports home, nor looks for updates, nor installs anything."""


@dataclass(frozen=True)
class AppFolder:
    """What was written.

    Attributes:
        app: the Flower app.
        run_config: TOML file with the run configuration.
        home: folder to use as `FLWR_HOME`, with the connection `deployment`.
    """

    app: Path
    run_config: Path
    home: Path


def write_app(
    settings: LiveSettings, folder: Path, superlink: str, root_certificates: Path | None = None
) -> AppFolder:
    """Write app, run configuration and connection below a folder.

    Args:
        settings: what the federation does.
        folder: where to write.
        superlink: address of the SuperLink, HOST:PORT.
        root_certificates: PEM file of the authority that signed the SuperLink's certificate; None = no TLS.
    """
    app, home = folder / "app", folder / "flower"
    source = resources.files("frugalfl.agents.deploy").joinpath("app")
    write_folder(app, lambda draft: _copy(source, draft))
    write_connection(home, superlink, root_certificates)
    run_config = folder / "deployment.toml"
    write_text(run_config, f"{RUN_CONFIG_KEY} = {_quoted(settings.text())}\n")
    return AppFolder(app, run_config, home)


def write_connection(home: Path, superlink: str, root_certificates: Path | None = None) -> None:
    """Write Flower's `config.toml` with the connection `deployment`; arguments as in `write_app`."""
    home.mkdir(parents=True, exist_ok=True)
    security = "insecure = true"
    if root_certificates is not None:
        security = f"root-certificates = {_quoted(str(root_certificates.resolve()))}"
    connection = [
        "[superlink]",
        f"default = {_quoted(CONNECTION)}",
        "",
        f"[superlink.{CONNECTION}]",
        f"address = {_quoted(superlink)}",
        security,
        "",
    ]
    write_text(home / "config.toml", "\n".join(connection))


def _quoted(text: str) -> str:
    """A string in TOML."""
    if "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _copy(source: resources.abc.Traversable, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            _copy(item, target / item.name)
        elif item.is_file():
            write_bytes(target / item.name, item.read_bytes())
