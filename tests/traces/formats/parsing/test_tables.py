"""The table reader: encodings, separators, headers, decimal commas, and the line in every refusal."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest

from frugalfl.traces.analysis import read_any
from frugalfl.traces.formats.parsing import header_cells, read_blocks, read_head, read_table

PLAIN = 'zone;fuel, MWh;when\n"a; b";1,5;2024-05-01 00:00\n\nc;;2024-05-01 01:00\n;;\n'


def put(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def utf16(text):
    return b"\xff\xfe" + text.encode("utf-16-le")


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    "encode", [str.encode, lambda t: t.encode("utf-8-sig"), utf16, lambda t: gzip.compress(t.encode())]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_same_table_however_it_was_saved(tmp_path, sep, quoted, encode, newline):
    rows = [["Zone", "Wert"], ["a b", "1.5"], ["c", ""]]
    quote = '"{}"'.format if quoted else str
    text = "".join(sep.join(map(quote, row)) + newline for row in rows)
    path = put(tmp_path, encode(text))
    table = read_table(path)
    assert table.columns == ["Zone", "Wert"]
    assert table.cells("zone").tolist() == ["a b", "c"]
    assert table.numbers("Wert") == pytest.approx([1.5, np.nan], nan_ok=True)
    assert table.lines.tolist() == [2, 3]
    assert header_cells(read_head(path)) == ["zone", "wert"]


def test_lines_are_those_of_the_file_whatever_lies_between_rows(tmp_path):
    text = '# made by hand\n\nname,value\n"two\nlines",1\n# a remark\n,,\nx,2,\n\ny\n'
    table = read_table(put(tmp_path, text))
    assert table.cells("name").tolist() == ["two\nlines", "x", "y"]
    assert table.lines.tolist() == [4, 8, 10]
    assert table.comments == ((1, "# made by hand"), (6, "# a remark"))
    assert table.cells("value").tolist() == ["1", "2", ""]


def test_a_header_is_found_by_its_names_below_other_lines_and_behind_a_hash(tmp_path):
    text = "Title of the report\n# http://example.org/a,b\n# id\tlab name\tType\n0\tlab 1\t1\n"
    table = read_table(put(tmp_path, text), ["ID", "type"])
    assert table.columns == ["id", "lab name", "Type"]
    assert table.cells("lab name").tolist() == ["lab 1"], "a blank in a cell of a tab table separates nothing"
    assert (table.header_line, table.lines.tolist()) == (3, [4])
    assert header_cells(text, "id", "type") == ["id", "lab name", "type"]
    with pytest.raises(ValueError, match=r"t.csv:1: no header with nowhere, found 'Title"):
        read_table(put(tmp_path, text), ["nowhere"])


def test_runs_of_blanks_separate_only_where_asked_and_never_shift(tmp_path):
    path = put(tmp_path, "# id  type\n0   1\nlab 0 1\n")
    with pytest.raises(ValueError, match=r"t.csv:3: 3 cells separated by blanks, expected 2"):
        read_table(path, ["id", "type"], blanks=True)
    with pytest.raises(ValueError, match=r"no header with id, type"):
        read_table(path, ["id", "type"])


def test_a_spreadsheets_separator_line_and_empty_columns(tmp_path):
    table = read_table(put(tmp_path, "sep=|\na|b|\n1|2|\n3|4|\n"))
    assert table.columns == ["a", "b"]
    assert table.lines.tolist() == [3, 4]
    unnamed = read_table(put(tmp_path, ",b\n1,2\n"))
    assert unnamed.columns == ["column 1", "b"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.234,5", "-7", "1.000"], [1234.5, -7.0, 1000.0]),
        (["1,234.5", "12"], [1234.5, 12.0]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1e3", "n/e", " 2.5 "], [1000.0, np.nan, 2.5]),
    ],
)
def test_decimal_commas_are_told_by_the_column(tmp_path, cells, expected):
    table = read_table(put(tmp_path, "a;b\n" + "".join(f"x;{cell}\n" for cell in cells)))
    assert table.numbers("b") == pytest.approx(expected, nan_ok=True)
    assert ("numbers have decimal commas" in table.notes) == (cells[0] in ("1.234,5", "0,123"))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["1", "1,234"], r"t.csv:3: 'b' is '1,234': the comma may be decimal or stand between thousands"),
        (["0,5", "1.5"], r"t.csv:3: 'b' is '1.5', expected a number with decimal commas"),
        (["1", "inf"], r"t.csv:3: 'b' is 'inf', expected a number"),
        (["1", "x"], r"t.csv:3: 'b' is 'x', expected a number"),
    ],
)
def test_numbers_that_may_be_two_things_are_refused(tmp_path, cells, why):
    table = read_table(put(tmp_path, "a;b\n" + "".join(f"x;{cell}\n" for cell in cells)))
    with pytest.raises(ValueError, match=why):
        table.numbers("b")


def test_times_in_iso_and_unix(tmp_path):
    rows = (
        "2025-01-06T00:00:00.5+01:00,1736118000.5,1736118000500",
        "20250105T230001Z,1736118001,1736118001000",
    )
    text = "\n".join(("iso,s,ms", *rows))
    table = read_table(put(tmp_path, text))
    for name in ("iso", "s", "ms"):
        assert table.utc_times(name).tolist() == [1736118000.5, 1736118001.0]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["2025-01-06", "1/6/2025 0:00"], r"t.csv:3: 't' is '1/6/2025 0:00'.*the order of day and month"),
        (
            ["2025-01-06 00:00", "2025-01-06 01:00Z"],
            r"t.csv:3: .*some times have a zone while others have none",
        ),
        (["1700000000", "2025-01-06"], r"t.csv:2: 't' is '1700000000', expected a time"),
        (["0001-01-01", "0002-01-01"], r"t.csv:2: 't' is '0001-01-01', expected (1900 to 2200|a time like)"),
    ],
)
def test_times_that_are_none_or_mix_clocks_are_refused(tmp_path, cells, why):
    table = read_table(put(tmp_path, "t\n" + "".join(f"{cell}\n" for cell in cells)))
    with pytest.raises(ValueError, match=why):
        table.utc_times("t")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2,3\n", r"t.csv:2: 3 cells separated by ',', expected 2 as in the header"),
        ('a,b\n1,2\n"1,2\n', r"t.csv:3: not a table row"),
        ("a,a\n1,2\n", r"t.csv:1: two columns are called 'a'"),
        ("a,b\n", r"no row below the header"),
        ("# only\n# remarks\n", r"t.csv:1: no header"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, text, why):
    with pytest.raises(ValueError, match=why):
        read_table(put(tmp_path, text))


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("t.csv", PLAIN)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (zipped(), "a zip archive .* unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 50, "an Excel workbook; save the sheet as CSV"),
        (PLAIN.encode("utf-16-le"), "UTF-16 text without a byte order mark; save it as UTF-8"),
        (utf16(PLAIN)[:-1], "damaged UTF-16"),
        ("größe,ä\n1,2\n".encode() + b"\xff,1\n", "t.csv:3: not UTF-8 text$"),
    ],
)
def test_what_is_no_text_is_said(tmp_path, content, why):
    path = put(tmp_path, content)
    for read in (read_table, read_any):
        with pytest.raises(ValueError, match=why):
            read(path)


def test_latin_1_is_read_in_tables_and_noted(tmp_path):
    table = read_table(put(tmp_path, "Périmètre\tMW\nFrance\t1\n".encode("latin-1")))
    assert table.columns == ["Périmètre", "MW"]
    assert table.notes == ["the text is Latin-1 (Windows-1252), not UTF-8"]
    json = put(tmp_path, '{"zone": "Réunion", "carbonIntensity": 1}'.encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8 text, but Latin-1"):
        read_any(json)


@pytest.mark.parametrize("quote", ["", '"'])
def test_csv_is_the_same_forced_and_found(tmp_path, quote):
    text = "time,zone,kind,g_per_kwh\n2023-01-01T00:00Z,A,direct,5\n2023-01-01T01:00Z,A,direct,6\n"
    path = put(
        tmp_path,
        "\n".join(",".join(quote + cell + quote for cell in line.split(",")) for line in text.splitlines()),
    )
    forced, found = read_any(path, "csv"), read_any(path)
    assert forced.series[0].g_per_kwh.tolist() == found.series[0].g_per_kwh.tolist() == [5.0, 6.0]
    with pytest.raises(ValueError, match=r"not in format 'csv', expected the header client,start,end, time,"):
        read_any(put(tmp_path, "a,b\n1,2\n"), "csv")


def test_an_unknown_file_is_told_the_formats_and_how_to_convert(tmp_path):
    with pytest.raises(ValueError, match=r"formats are .*fta.*smard.*write the file as client,start,end"):
        read_any(put(tmp_path, "a,b\n1,2\n"))
    with pytest.raises(ValueError, match=r"no availability, carbon intensity, requests or devices"):
        read_any(put(tmp_path, "1735689600,200\n1735693200,201\n"))
    with pytest.raises(ValueError, match=r"t.csv:1: time is '1735689600', a Unix time"):
        read_any(put(tmp_path, "1735689600,200\n1735693200,201\n"), "bamboo-counts")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a,b\n1," + " " * 20_000 + "2\n", r"f.csv:2: not a table row .*more than 10000 letters"),
        ("a,b" + ",c" * 5000 + "\n1,2\n", r"f.csv:1: .*"),
        ("a,b " + " " * 90_000 + "c\n1,2\n", r"f.csv:1: a column's name has 90003 letters, expected up to"),
        (
            "a" + "".join(f",c{number}" for number in range(5000)) + "\n1,2\n",
            r"f.csv:1: 5001 columns, expected up to",
        ),
    ],
)
def test_what_no_table_is_as_wide_as(tmp_path, content, why):
    path = tmp_path / "f.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=why) as caught:
        read_table(path)
    assert len(str(caught.value)) < 400


class TestBlocks:
    ROWS = [f'2023-01-01 00:{minute:02d},"a, b",{minute}' for minute in range(60)]

    def written(self, tmp_path, end="\n", zipped=False):
        content = end.join(
            ["# a title", "time,name,count", *self.ROWS[:30], "", "# half", *self.ROWS[30:], ""]
        )
        data = content.encode()
        (tmp_path / "t.csv").write_bytes(gzip.compress(data) if zipped else data)
        return tmp_path / "t.csv"

    @pytest.mark.parametrize("block_bytes", [40, 200, 1 << 20])
    @pytest.mark.parametrize(("end", "zipped"), [("\n", False), ("\r\n", False), ("\n", True)])
    def test_blocks_are_the_table(self, tmp_path, end, zipped, block_bytes):
        path = self.written(tmp_path, end, zipped)
        whole = read_table(path, ["time", "count"])
        blocks = list(read_blocks(path, ["time", "count"], block_bytes))
        assert (len(blocks) > 3) == (block_bytes < 1000)
        assert np.array_equal(np.concatenate([block.lines for block in blocks]), whole.lines)
        for name in whole.columns:
            cells = [cell for block in blocks for cell in block.cells(name)]
            assert cells == whole.cells(name).tolist()

    def test_a_bad_row_has_its_line_in_any_block(self, tmp_path):
        path = self.written(tmp_path)
        path.write_text(path.read_text() + "1,2,3,4,5\n")
        with pytest.raises(ValueError, match=r"t\.csv:65: 5 cells separated by ',', expected 3"):
            list(read_blocks(path, ["time"], 100))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "empty file, expected text"),
            (b"time,count\n", "no row below the header"),
            (b"a,b\n1,2\n", "no header with time"),
            (b"time," + b"x" * 900, "a line of more than 400 bytes; expected a readable file"),
            (b"\x1f\x8bnot gzip at all, never", "not a whole gzip file"),
            (
                gzip.compress(b"time,count\n" + (b"1," + b"2" * 90 + b"\n") * 300_000),
                "unpacks to more than 200 times its size",
            ),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, tmp_path, content, said):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.csv") as refusal:
            for _ in read_blocks(tmp_path / "t.csv", ["time"], 100 if len(content) < 2000 else 1 << 20):
                pass
        assert said in str(refusal.value)
