"""Languages as data: Markov sources with exact entropy, plain text and LEAF's JSON."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from frugalfl.envs.scenario import load_scenario
from frugalfl.fl_core.data import GapClosed, Markov, MarkovSource, load_dataset, partition
from frugalfl.fl_core.federation import FederatedCore
from frugalfl.fl_core.models import make_model
from frugalfl.fl_core.testing import check_dataset

TWO = np.array([[0.9, 0.1], [0.4, 0.6]])  # stationary: 0.8, 0.2


def entropy(*p):
    return -sum(x * np.log(x) for x in p)


def test_entropies_of_a_chain_of_two_symbols_by_hand():
    chain = MarkovSource(TWO)
    assert np.allclose(chain.stationary(), [0.8, 0.2], atol=1e-10)
    assert np.allclose(chain.frequencies(), [0.8, 0.2], atol=1e-10)
    rate = 0.8 * entropy(0.9, 0.1) + 0.2 * entropy(0.4, 0.6)
    assert np.isclose(chain.entropy_rate(), rate)
    assert np.isclose(chain.floor(1), rate)  # one symbol is all that matters
    assert np.isclose(chain.floor(9), rate)


def test_the_first_predictions_of_a_row_know_less():
    # The next symbol repeats the one before the last with probability 0.9: one symbol alone says nothing.
    table = np.empty((2, 2, 2))
    for before in range(2):
        table[before, :, before], table[before, :, 1 - before] = 0.9, 0.1
    chain = MarkovSource(table)
    assert np.isclose(chain.floor(1), np.log(2))
    assert np.isclose(chain.floor(4), (np.log(2) + 3 * entropy(0.9, 0.1)) / 4)


def test_a_language_that_goes_round_in_circles_has_its_frequencies():
    chain = MarkovSource(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert np.allclose(chain.frequencies(), 1 / 3)
    assert chain.entropy_rate() == 0


def test_texts_have_the_frequencies_and_the_surprise_of_their_language():
    rng = np.random.default_rng(1)
    chain = Markov(symbols=4, clients=0).dialects(rng)[0]
    text = chain.write(400, 101, rng)
    seen = np.bincount(text.ravel(), minlength=4) / text.size
    assert np.abs(seen - chain.frequencies()).max() < 0.01
    surprise = -np.log(chain.table[text[:, :-2], text[:, 1:-1], text[:, 2:]])
    standard_error = surprise.std() / np.sqrt(surprise.size)
    assert abs(surprise.mean() - chain.entropy_rate()) < 4 * standard_error


def test_markov_data_set():
    data = check_dataset({"kind": "markov", "num_clients": 3, "rows": 20, "val_rows": 5, "context": 7})
    assert data.x_train.shape == (60, 8)
    assert data.x_val.shape == data.x_test.shape == (15, 8)
    assert data.num_classes == 16
    assert np.array_equal(data.x_train[:, -1], data.y_train)
    assert np.array_equal(np.bincount(data.natural_client), [20, 20, 20])
    born = partition(data, 3, np.zeros(3, int), 1, "natural", np.random.default_rng(0))
    assert np.array_equal(born.own, [20, 20, 20])


def test_dialects_scatter_around_one_language():
    rows = {"num_clients": 40, "rows": 1, "val_rows": 1, "symbols": 3, "order": 1}
    shared = Markov(**rows, clients=0).dialects(np.random.default_rng(0))
    assert all(np.array_equal(each.table, shared[0].table) for each in shared)
    dialects = Markov(**rows, clients=0.1).dialects(np.random.default_rng(0))
    tables = np.stack([each.table for each in dialects])
    assert np.abs(tables.mean(axis=0) - shared[0].table).max() < 0.1
    assert tables.std(axis=0).max() > 0.05
    # Who knows the dialect knows more than who knows the language.
    floors = [load_dataset({"kind": "markov", **rows, "clients": c}).score.floor_loss for c in (0, 0.1)]
    assert floors[1] < floors[0]


def test_the_score_is_the_gap_closed():
    score = GapClosed(unigram_loss=2.0, floor_loss=1.0)
    assert np.allclose(score.of(np.zeros(4), np.array([2.5, 2.0, 1.25, 0.9])), [0, 0, 0.75, 1])
    with pytest.raises(ValueError, match="floor_loss 1 and unigram_loss 1, expected"):
        GapClosed(1.0, 1.0)


def test_a_core_reports_the_score_that_its_data_set_names():
    data = load_dataset({"kind": "markov", "num_clients": 2, "rows": 30, "val_rows": 10})
    model = make_model("softmax", data)
    core = FederatedCore(data, model, 2, 2, {"batch_size": 4})
    rows = partition(data, 2, np.zeros(2, int), 1, "natural", np.random.default_rng(0))
    for env in range(2):
        core.reset(env, rows, env)
    for part in ("val", "test"):
        accuracy, loss = core.evaluate(part=part)
        assert np.array_equal(accuracy, data.score.of(accuracy, loss))
    plain, train_loss = core.trainer.evaluate(core.parameters(), "train")
    pooled = core.pooled_accuracy()
    scores = data.score.of(plain, train_loss), core.evaluate()[0]
    assert np.allclose(pooled, (60 * scores[0] + 20 * scores[1]) / 80)
    assert np.array_equal(load_dataset("digits").scored(plain, train_loss), plain)


PLAY = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

First Citizen:
You are all resolved rather to die than to famish?
"""


def test_a_play_by_its_roles(tmp_path):
    (tmp_path / "play.txt").write_text(PLAY.replace("\n", "\r\n"))
    data = check_dataset({"kind": "text", "path": str(tmp_path / "play.txt"), "context": 4, "min_rows": 1})
    assert data.natural_client.max() == 1
    assert data.score is None
    words = (
        "Before we proceed any further, hear me speak.\nYou are all resolved rather to die than to famish?"
    )
    letters = sorted(set(words + "Speak, speak.\n"))
    first = data.x_train[data.natural_client == 0]
    cut = round(0.6 * len(words))
    spelt = "".join(letters[int(code)] for code in [*first[:, :-1].ravel(), first[-1, -1]])
    assert spelt == words[: 1 + (cut - 1) // 4 * 4]
    assert np.array_equal(first[1:, 0], first[:-1, -1])  # each character is predicted once
    val = [letters[int(code)] for code in data.x_val[0]]
    assert "".join(val) == words[cut : cut + 5]


def test_files_as_clients(tmp_path):
    (tmp_path / "b.txt").write_text("abab" * 20)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"ccdd" * 40))
    (tmp_path / ".hidden").write_bytes(b"\xff")
    data = check_dataset({"kind": "text", "path": str(tmp_path), "by": "file", "context": 3})
    assert np.bincount(data.natural_client).tolist() == [31, 15]
    few = load_dataset(
        {"kind": "text", "path": str(tmp_path), "by": "file", "symbols": 3, "max_rows": 5, "context": 12}
    )
    assert few.num_classes == 3
    assert np.bincount(few.natural_client).tolist() == [5, 3]


def windows(text, length):
    places = range(len(text) - length)
    return [text[i : i + length] for i in places], [text[i + length] for i in places]


def leaf(**said):
    data = {name: dict(zip("xy", windows(text, 5), strict=True)) for name, text in said.items()}
    return json.dumps({"users": list(said), "num_samples": [9] * len(said), "user_data": data})


def test_leaf_windows_are_put_together_again(tmp_path):
    said = {
        "HAMLET": "to be, or not to be, that is the question",
        "GHOST": "swear. swear. swear by his sword.",
    }
    (tmp_path / "leaf.json").write_text(leaf(**said))
    data = check_dataset({"kind": "text", "path": str(tmp_path / "leaf.json"), "context": 4})
    letters = sorted(set("".join(said.values()) + "\n"))
    for k, text in enumerate(said.values()):
        rows = data.x_train[data.natural_client == k]
        spelt = "".join(letters[int(code)] for code in [*rows[:, :-1].ravel(), rows[-1, -1]])
        assert text.startswith(spelt)
        assert len(spelt) > 15
    pieces = {"x": ["abc", "bcd", "xyz"], "y": ["d", "e", "!"]}
    (tmp_path / "two.json").write_text(json.dumps({"user_data": {"k": pieces}}))
    rows = load_dataset({"kind": "text", "path": str(tmp_path / "two.json"), "context": 1, "min_rows": 1})
    letters = sorted(set("abcde\nxyz!"))
    assert "".join(letters[int(code)] for code in rows.x_train[:, 0]) == "abcde"  # of "abcde\nxyz!"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.txt", b"\xff\xfe\x00", "a.txt: 'utf-8' codec can't decode byte"),
        ("a.txt", b"ab\0cd" * 30, "a.txt: holds zero bytes; expected text in UTF-8"),
        ("a.txt", b"no speakers here\n" * 9, "has no line 'NAME:' after an empty one"),
        ("a.txt", b"A:\nhi\n", "nobody has 3 rows of 17 characters"),
        ("a.txt", b"A:\n" + b"x" * 3000, None),
        ("a.json", b"{\"users\": []}", "no object 'user_data'"),
        ("a.json", b'{"user_data": {"k": {"x": ["ab"], "y": []}}}', "'k': expected lists 'x' and 'y'"),
        ("a.json", b'{"user_data": {"k": {"x": [[1]], "y": ["a"]}}}', "'k': expected texts in 'x' and 'y'"),
        ("a.json", b'{"user_data": {"k": 1, "k": 2}}', "key 'k' comes twice"),
        ("a.json", b"{" * 100_000, "a.json: "),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_one_line(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    spec = {"kind": "text", "path": str(tmp_path / name)}
    if complaint is None:
        assert load_dataset(spec).num_classes == 2
        return
    with pytest.raises(ValueError) as error:
        load_dataset(spec)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_empty_folders(tmp_path):
    for path, complaint in ((tmp_path / "no.txt", "No such file"), (tmp_path, "an empty folder")):
        with pytest.raises(ValueError, match=complaint):
            load_dataset({"kind": "text", "path": str(path)})


def test_text_files_are_found_beside_the_document(tmp_path):
    (tmp_path / "mine.txt").write_text(PLAY)
    (tmp_path / "w.yaml").write_text("base: volunteers\nname: w\ndataset: {kind: text, path: mine.txt}\n")
    (tmp_path / "v.yaml").write_text("base: volunteers\nname: v\ndataset: {kind: text, path: [mine.txt]}\n")
    assert load_scenario(tmp_path / "w.yaml").dataset["path"] == str(tmp_path / "mine.txt")
    assert load_scenario(tmp_path / "v.yaml").dataset["path"] == [str(tmp_path / "mine.txt")]
