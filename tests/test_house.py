"""The house: imports point down, doors are public, docs/structure.md is true, the wheel is whole."""

from __future__ import annotations

import ast
import graphlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "traces", "fl_core", "envs", "agents")
PAGE = (ROOT / "docs" / "structure.md").read_text(encoding="utf-8")
APP = ROOT / "agents" / "deploy" / "app"
"""A Flower app of its own that is copied to where it runs; it is data, not a package."""
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if APP not in path.parents
)
FOLDERS = sorted({path.parent for path in FILES})
HEAVY = ("torch", "stable_baselines3", "sb3_contrib", "ray", "flwr")


def module_of(path: Path) -> str:
    """Dotted name inside the package, of a file or of the folder behind a door."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if path.name == "__init__.py" else parts)


MODULES = {module_of(path): path for path in FILES}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def imports_of(path: Path, tree: ast.AST | None = None) -> list[tuple[str, str]]:
    """Module of ours and name, for every import of a file, wherever in the file it stands."""
    package = path.relative_to(ROOT).parts[:-1]
    found = []
    for node in ast.walk(TREES[path] if tree is None else tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = tuple(node.module.split(".")) if node.module else ()
        if node.level:
            module = package[: len(package) - (node.level - 1)] + module
        elif module[0] == "frugalfl":
            module = module[1:]
        else:
            continue
        for alias in node.names:
            inner = ".".join((*module, alias.name))
            found.append((inner, "") if inner in MODULES else (".".join(module), alias.name))
    return found


def loads_heavy_libraries() -> set[str]:
    """Files that load torch, Stable-Baselines3, Ray or Flower when they are imported."""

    def statements(body):
        for node in body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            yield node
            for part in ("body", "orelse"):
                if isinstance(node, ast.If | ast.Try):
                    yield from statements(getattr(node, part))

    below, heavy = defaultdict(set), set()
    for name, path in MODULES.items():
        for node in statements(TREES[path].body):
            if isinstance(node, ast.Import):
                roots = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots = [str(node.module).split(".")[0]]
            else:
                roots = []
            if set(roots) & set(HEAVY):
                heavy.add(name)
            if isinstance(node, ast.ImportFrom):
                below[name] |= {module for module, _ in imports_of(path, ast.Module([node], []))}
    while more := {name for name in MODULES if name not in heavy and below[name] & heavy}:
        heavy |= more
    return heavy


HEAVY_FILES = loads_heavy_libraries()


class TestImports:
    """Rule 1: down only, and nobody in a circle."""

    def test_no_two_files_import_each_other(self):
        graph = {
            name: {
                module
                for module, _ in imports_of(path)
                if module in MODULES and MODULES[module].name != "__init__.py"
            }
            for name, path in MODULES.items()
            if path.name != "__init__.py"
        }
        graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle

    @pytest.mark.parametrize("path", FILES, ids=module_of)
    def test_imports_point_down_between_packages(self, path):
        mine = PACKAGES.index(path.relative_to(ROOT).parts[0])
        above = [module for module, _ in imports_of(path) if module.split(".")[0] in PACKAGES[mine + 1 :]]
        assert not above
        if PACKAGES[mine] == "fl_core":
            assert not [module for module, _ in imports_of(path) if module.startswith("traces")]

    @pytest.mark.parametrize("package", ["traces", "fl_core", "envs", "agents", "agents.schedulers"])
    def test_imports_point_down_inside_a_package(self, package):
        floors = floors_of(package)
        level = {name: index for index, floor in enumerate(floors) for name in floor}
        upwards = []
        for path in FILES:
            here = module_of(path)
            if not here.startswith(f"{package}."):
                continue
            mine = here.removeprefix(f"{package}.").split(".")[0]
            for module, name in imports_of(path):
                if not module.startswith(f"{package}."):
                    continue
                other = module.removeprefix(f"{package}.").split(".")[0]
                if other == mine:
                    continue
                assert {mine, other} <= set(level), f"{mine} or {other} is not in docs/structure.md"
                if level[other] >= level[mine]:
                    upwards.append(f"{here} -> {module}.{name}")
        assert not upwards

    def test_nothing_enters_common_that_fewer_than_two_packages_use(self):
        users = defaultdict(set)
        for path in FILES:
            for module, _ in imports_of(path):
                if module.startswith("common."):
                    users[module].add(path.relative_to(ROOT).parts[0])
        for path in (ROOT / "common").glob("*.py"):
            name = module_of(path)
            if path.name in ("__init__.py", "doors.py"):  # the root's own door uses the latter
                continue
            assert len(users[name]) >= 2, f"{name} is used by {sorted(users[name])} only"


def floors_of(package: str) -> list[list[str]]:
    """The order of a package's parts, lowest first, as docs/structure.md has it."""
    line = re.search(rf"^\* `{re.escape(package.split('.')[-1])}`: (.+)$", PAGE, re.MULTILINE)
    assert line, f"docs/structure.md has no order of {package}"
    return [
        [part.strip().strip("`").removesuffix(".py") for part in floor.split("/")]
        for floor in line[1].split("<")
    ]


class TestDoors:
    """Rule 3: what a folder offers stands in its door, and is taken from there."""

    @pytest.mark.parametrize(
        "folder", [f for f in FOLDERS if f.relative_to(ROOT).parts[:2] != ("agents", "integrations")], ids=str
    )
    def test_a_door_offers_what_it_says_and_hides_no_file(self, folder):
        door = importlib.import_module(f"frugalfl.{module_of(folder / '__init__.py')}")
        names = getattr(door, "__all__", [])
        assert len(names) == len(set(names))
        for name in names:
            assert hasattr(door, name), name
        files = {path.stem for path in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()}
        assert not files & set(names), "a name of the door hides a file"

    @pytest.mark.parametrize("path", [p for p in FILES if p.name != "__init__.py"], ids=module_of)
    def test_what_stands_in_another_folder_comes_from_its_door(self, path):
        around = []
        for module, name in imports_of(path):
            target = MODULES.get(module)
            if target is None or target.name == "__init__.py" or module in HEAVY_FILES:
                continue
            folder = target.parent
            if folder in (ROOT / package for package in PACKAGES) or folder in path.parents:
                continue
            around.append(f"{module}.{name}")
        assert not around

    def test_doors_load_no_heavy_library(self):
        code = (
            "import importlib, sys, frugalfl\n"
            f"for name in {sorted(module_of(f / '__init__.py') for f in FOLDERS)!r}:\n"
            "    importlib.import_module(f'frugalfl.{name}')\n"
            f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == "[]"

    def test_registration_loads_next_to_nothing(self):
        code = "import sys, frugalfl; print(*sys.modules)"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = set(said.stdout.split())
        assert not loaded & {
            *HEAVY,
            "numba",
            "pandas",
            "scipy",
            "matplotlib",
            "sklearn",
            "pydantic",
            "optuna",
        }

    def test_the_root_offers_what_it_says(self):
        root = importlib.import_module("frugalfl")
        for name in root.__all__:
            assert getattr(root, name) is not None
        assert set(root.__all__) <= set(dir(root))
        with pytest.raises(AttributeError, match="no attribute 'evalute'"):
            _ = root.evalute


def chapter(title: str) -> str:
    """The part of the page under a heading that begins so."""
    return PAGE.split(f"## {title}")[1].split("\n## ")[0]


def larger_than_the_rule() -> set[str]:
    """Functions and classes beyond the sizes that docs/structure.md names."""
    found = set()
    for path, tree in TREES.items():
        inside = {
            child: node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for child in node.body
        }
        for node in ast.walk(tree):
            large = False
            if isinstance(node, ast.FunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                arguments = [each for each in given if each.arg not in ("self", "cls")]
                large = len(arguments) > 8 or (node.end_lineno or 0) - node.lineno >= 60
            elif isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_"]
                large = len(methods) > 15 or len([n for n in node.body if isinstance(n, ast.AnnAssign)]) > 20
            if large:
                name = f"{inside[node]}.{node.name}" if node in inside else node.name
                found.add(f"{path.relative_to(ROOT).as_posix()}: {name}")
    return found


class TestPage:
    """docs/structure.md is true."""

    def listed(self) -> set[str]:
        block = re.search(r"## The layout\n.*?```\n(.*?)```", PAGE, re.DOTALL)
        assert block
        folders, stack = set(), []
        for line in block[1].splitlines():
            found = re.match(r"( *)([\w/]+)/ ", f"{line} ")
            if not found or not line.strip():
                continue
            depth = len(found[1]) // 2
            stack = [*stack[:depth], found[2]]
            folders.add("/".join(stack))
        return folders

    def test_every_folder_is_in_the_layout_and_every_line_of_it_is_a_folder(self):
        there = {folder.relative_to(ROOT).as_posix() for folder in FOLDERS}
        assert self.listed() == there

    def test_every_file_it_names_exists(self):
        table = chapter("Where to add")
        for name in re.findall(r"`((?:common|traces|fl_core|envs|agents|docs)/[\w/.\-]+)`", table):
            assert (ROOT / name).exists(), name

    def test_long_files_say_why(self):
        table = chapter("Longer than 300 lines")
        excused = set(re.findall(r"`([\w/]+\.py)`", table))
        long = {
            path.relative_to(ROOT).as_posix()
            for path in FILES
            if len(path.read_text(encoding="utf-8").splitlines()) > 300
        }
        assert long == excused

    def test_listings_are_short_enough_to_explain_themselves(self):
        table = chapter("Longer than 300 lines")
        excused = set(re.findall(r"`([\w/]+)/`", table))
        crowded = {
            folder.relative_to(ROOT).as_posix()
            for folder in FOLDERS
            if len([p for p in folder.iterdir() if not p.name.startswith("_")]) > 14
        }
        assert crowded == excused

    def test_what_is_larger_than_the_rule_says_why(self):
        table = chapter("Larger than the rule")
        excused = {
            f"{path}: {name}"
            for path, names in re.findall(r"`([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)", table)
            for name in re.findall(r"`([\w.]+)`", names)
        }
        assert larger_than_the_rule() == excused

    def test_any_is_rare(self):
        uses = sum(
            isinstance(node, ast.Name) and node.id == "Any"
            for tree in TREES.values()
            for node in ast.walk(tree)
        )
        assert uses < 100


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made of a copy: nothing is left here, and two test runs do not meet in one build folder."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "frugalfl"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(out)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


class TestPackaging:
    """What is installed is what is here."""

    def test_the_list_of_packages_is_the_list_of_folders(self):
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        block = re.search(r"^packages = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
        assert block
        listed = re.findall(r'"([\w.]+)"', block[1])
        assert listed == sorted(["frugalfl", *(f"frugalfl.{module_of(f / '__init__.py')}" for f in FOLDERS)])

    @pytest.mark.slow
    def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(self, wheel):
        files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
        wanted = {
            f"frugalfl/{path.relative_to(ROOT).as_posix()}"
            for path in files
            if not path.name.startswith(".") and "__pycache__" not in path.parts
        }
        wanted |= {f"frugalfl/{path.name}" for path in ROOT.glob("*.py") if path.name != "setup.py"}
        wanted |= {"frugalfl/py.typed"}
        names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        assert names == wanted

    @pytest.mark.slow
    def test_its_description_has_no_link_that_an_index_cannot_follow(self, wheel):
        archive = zipfile.ZipFile(wheel)
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
        assert "Schedule a real federated training run" in text
        assert set(re.findall(r"\]\((?!https://)[^)]*\)", text)) == set()

    @pytest.mark.slow
    def test_an_installed_wheel_works_from_any_folder(self, wheel, tmp_path):
        target = tmp_path / "site"
        install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target)]
        subprocess.run([*install, str(wheel)], check=True, capture_output=True)
        code = (
            f"import sys; sys.path.insert(0, {str(target)!r}); import gymnasium as gym, frugalfl;"
            f"assert frugalfl.__file__.startswith({str(target)!r}), frugalfl.__file__;"
            "env = gym.make('frugalfl/SpotMarket-v0'); env.reset(seed=0); env.step(env.action_space.sample())"
        )
        # What is asked is whether everything is there; compiling it all once more would not tell.
        env = {**os.environ, "FRUGALFL_COMPILED": "0"}
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=env)


def test_the_tables_of_the_documentation_are_up_to_date():
    subprocess.run([sys.executable, str(ROOT / "docs" / "make_tables.py"), "--check"], check=True)


def test_the_order_of_the_page_has_no_gaps():
    for lower, upper in pairwise(floors_of("traces")):
        assert lower and upper
