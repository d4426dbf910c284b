"""The house itself: imports point down, the wheel is whole, the documents are up to date."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("traces", "fl_core", "envs", "agents")
BELOW = {
    "traces": {"traces"},
    "fl_core": {"fl_core"},
    "envs": {"envs", "traces", "fl_core"},
    "agents": {"agents", "envs", "traces", "fl_core"},
}
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_packages(path):
    """Packages of ours that a module imports, resolving relative imports."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                base = here[: len(here) - node.level] if path.name != "__init__.py" else here[: -node.level]
                target = [*base, *module]
                target = target or [alias.name for alias in node.names]
            elif module and module[0] == "frugalfl":
                target = module[1:]
            else:
                continue
            if target:
                yield target[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "frugalfl" and len(parts) > 1:
                    yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_imports_only_point_down(path):
    package = path.relative_to(ROOT).parts[0]
    assert set(imported_packages(path)) & set(PACKAGES) <= BELOW[package]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--quiet",
        "--wheel-dir",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(wheel):
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    wanted = {
        f"frugalfl/{path.relative_to(ROOT).as_posix()}"
        for path in files
        if not path.name.startswith(".") and "__pycache__" not in path.parts
    }
    wanted |= {"frugalfl/__init__.py", "frugalfl/py.typed", "frugalfl/train_agent.py"}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == wanted


@pytest.mark.slow
def test_an_installed_wheel_works_from_any_folder(wheel, tmp_path):
    target = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r}); import gymnasium as gym, frugalfl;"
        f"assert frugalfl.__file__.startswith({str(target)!r}), frugalfl.__file__;"
        "env = gym.make('frugalfl/SpotMarket-v0'); env.reset(seed=0); env.step(env.action_space.sample())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_import_takes_under_half_a_second():
    code = "import time; t = time.perf_counter(); import frugalfl; print(time.perf_counter() - t)"
    runs = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3)]
    assert min(runs) < 0.5


def test_the_tables_of_the_documentation_are_up_to_date():
    start = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "docs" / "make_tables.py"), "--check"], check=True)
    assert time.perf_counter() - start < 60
