"""Files and folders are written whole or not at all."""

import numpy as np
import pytest

from frugalfl.common.files import (
    read_json,
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


def test_names_of_files_and_checksums():
    assert slug("..my scheduler:Class/x") == "my_scheduler_Class_x"
    assert sha256(b"a", b"b") == sha256(b"ab") and len(sha256()) == 64
