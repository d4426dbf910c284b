"""Files and folders are written whole or not at all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import frugalfl
from frugalfl.common.files import (
    clear_drafts,
    naming,
    read_json,
    read_npz,
    sha256,
    slug,
    write_file,
    write_folder,
    write_json,
    write_npz,
    write_text,
)


def refuse(path):
    path.write_text("half")
    raise OSError("disk full")


def test_what_fails_half_way_leaves_the_old_file_and_no_draft(tmp_path):
    target = tmp_path / "config.json"
    write_json(target, {"a": 1})
    with pytest.raises(OSError, match="disk full"):
        write_file(target, refuse)
    assert read_json(target, "config") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_drafts_keep_their_ending(tmp_path):
    seen = []
    write_file(
        tmp_path / "plot.png", lambda draft: (seen.append(draft.suffix), draft.write_bytes(b""))[1] and None
    )
    assert seen == [".png"]


def test_not_a_number_is_no_json(tmp_path):
    with pytest.raises(ValueError, match=r"Out of range|not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_folder_replaces_the_old_one_only_when_it_is_full(tmp_path):
    target = tmp_path / "cell"
    write_folder(target, lambda draft: write_text(draft / "one", "1"))

    def half(draft):
        write_text(draft / "two", "2")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(target, half)
    assert [path.name for path in target.iterdir()] == ["one"]
    write_folder(target, lambda draft: write_text(draft / "three", "3"))
    assert [path.name for path in target.iterdir()] == ["three"]


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(3), "part/b": np.eye(2, dtype=np.float32)}
    write_npz(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert set(found) == set(arrays)
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not JSON"), ("[1]", "expected a JSON object"), (None, "No such file")]
)
def test_a_bad_document_is_one_line(tmp_path, text, words):
    path = tmp_path / "card.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_json(path, "card")
    assert str(caught.value).startswith("card: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\udcff"])
def test_a_document_that_breaks_the_parser_is_one_line(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="not JSON") as caught:
        read_json(path, "card")
    assert str(caught.value).startswith("card: ") and "\n" not in str(caught.value)


def complaint(path):
    """What reading says against a file; None if it can be read."""
    try:
        read_npz(path, "x")
    except ValueError as error:
        return str(error)
    return None


def test_damaged_arrays_are_one_line(tmp_path):
    path = tmp_path / "x.npz"
    write_npz(path, {"a": np.arange(300.0), "b": np.array("text")})
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    assert read_npz(path, "x")["a"].shape == (300,)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(len(content), size=rng.integers(1, 9)):
            content[at] = rng.integers(256)
        path.write_bytes(content[: rng.integers(len(content)) if rng.random() < 0.3 else None])
        told = complaint(path)
        refused += told is not None
        assert told is None or (told.startswith(f"x: {path}: ") and "\n" not in told)
    assert refused > 200
    with pytest.raises(ValueError, match="No such file"):
        read_npz(tmp_path / "y.npz", "x")


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="a: an array of objects"):
        write_npz(tmp_path / "x.npz", {"a": np.array([{}])})


def test_what_the_dead_left_half_written_is_cleared(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for owner in (gone.pid, os.getpid()):  # in a container the next process often has the number of the last
        (tmp_path / "cells" / f".draft-{owner}.cell").mkdir(parents=True)
        (tmp_path / "cells" / f".draft-{owner}.cell" / f".draft-{owner}.x.csv").touch()
    (tmp_path / ".draft-mine").touch()
    (tmp_path / f".draft-{os.getppid()}.x.csv").touch()
    clear_drafts(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"cells", ".draft-mine", f".draft-{os.getppid()}.x.csv"}


def test_an_error_of_a_library_names_the_file(tmp_path):
    with pytest.raises(OSError, match="not written: disk full") as caught, naming(tmp_path / "events"):
        raise OSError(28, "disk full")
    assert caught.value.filename == str(tmp_path / "events")
    with pytest.raises(OSError) as caught, naming(tmp_path / "events"):
        raise OSError(28, "disk full", "another")
    assert caught.value.filename == "another"


def test_everybody_writes_through_this_file():
    """Elsewhere a kill would leave half a file."""
    writes = re.compile(r"\.write_(?:text|bytes)\(|\.to_csv\(\w|savez|savefig\(|open\([^)]*[\"'][wax]")
    root = Path(frugalfl.__file__).parent
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for package in ("common", "traces", "fl_core", "envs", "agents")
        for path in (root / package).rglob("*.py")
        if path.name not in ("files.py", "testing.py") and path.parent.name != "testing"
        for line in path.read_text(encoding="utf-8").splitlines()
        if writes.search(line) and "draft" not in line and "`np.savez`" not in line
    ]
    assert found == [
        'agents/deploy/rehearsal/local_cluster.py: with (self.folder / f"{name}.log").open("ab") as log:'
    ]


def test_names_of_files_and_checksums():
    assert slug("..my scheduler:Class/x") == "my_scheduler_Class_x"
    assert sha256(b"a", b"b") == sha256(b"ab") and len(sha256()) == 64
