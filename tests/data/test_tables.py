"""Tables: what csv, pandas, pyarrow and SciPy write or read, to the last bit, and what is refused."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from snnlearn.data import load, read_like

from .refusals import refused, spoil

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(40, 3)) * [1, 1e-7, 1e6]
WORDS = np.array(["Süd, West", 'say "no"', "plain"])[np.arange(40) % 3]
COLOURS = np.array(["red", "blue"])[np.arange(40) // 7 % 2]


def rows_of(task):
    """Each sample with its class, wherever the cut has put it, in order."""
    names = task.class_names or tuple(map(str, range(task.num_classes)))
    parts = (task.train, task.validation, task.test)
    return sorted((tuple(x), names[y]) for part in parts for x, y in zip(part.x.tolist(), part.y, strict=True))


def written(delimiter=",", header=True, quoting=csv.QUOTE_MINIMAL, end="\r\n"):
    text = io.StringIO()
    lines = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    if header:
        lines.writerow(["a", "b", "c", "label"])
    lines.writerows([*map(repr, row.tolist()), word] for row, word in zip(NUMBERS, WORDS, strict=True))
    return text.getvalue()


EXPECTED = sorted((tuple(row), str(word)) for row, word in zip(NUMBERS.astype(np.float32).tolist(), WORDS, strict=True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_what_python_writes_as_csv_is_read_to_the_last_bit(tmp_path, delimiter, header, quoting):
    (tmp_path / "a.csv").write_text(written(delimiter, header, quoting), encoding="utf-8")
    task = load(tmp_path / "a.csv")
    assert rows_of(task) == EXPECTED and task.class_names == ("Süd, West", "plain", 'say "no"')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_with_a_mark_of_its_encoding(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(written().encode(encoding))
    assert rows_of(load(tmp_path / "a.csv")) == EXPECTED


def test_spaces_and_decimal_commas(tmp_path):
    rows = [(1.5 + i / 8, -i / 4, "ab"[i % 2]) for i in range(30)]
    (tmp_path / "spaces.data").write_text("".join(f"  {a}   {b} {c}\n" for a, b, c in rows))
    (tmp_path / "commas.csv").write_text("".join(f"{a};{b};{c}\n".replace(".", ",") for a, b, c in rows))
    expected = sorted(((a, b), c) for a, b, c in rows)
    assert rows_of(load(tmp_path / "spaces.data")) == rows_of(load(tmp_path / "commas.csv")) == expected


def test_each_feature_has_its_own_range_from_the_training_part(tmp_path):
    (tmp_path / "a.csv").write_text(written())
    task = load(tmp_path / "a.csv")
    np.testing.assert_array_equal(task.low, task.train.x.min(axis=0))
    np.testing.assert_array_equal(task.high, task.train.x.max(axis=0))
    assert task.low.shape == (3,) and np.ptp(task.high - task.low) > 1e5


@pytest.mark.parametrize(
    ("header", "label", "column", "note"),
    [
        ("y,a,b,c", None, 0, "The label is column y."),
        ("a,Class,b,c", None, 1, "The label is column Class."),
        ("a,b,c,d", None, 3, "last column, d"),
        ("a,b,c,d", "b", 1, ""),
        ("a,b,c,d", "2", 1, ""),
        ("a,b,c,d", 2, 1, ""),
        ("2,b,c,y", "2", 0, ""),
    ],
)
def test_the_column_of_the_label(tmp_path, header, label, column, note):
    cells = [[f"{i}.5", f"{i}.25", f"{i}.125", f"{i}.75"] for i in range(30)]
    for i, row in enumerate(cells):
        row[column] = "uvw"[i % 3]
    (tmp_path / "a.csv").write_text("\n".join([header, *map(",".join, cells)]))
    task = load(tmp_path / "a.csv", label=label)
    assert task.class_names == ("u", "v", "w") and task.shape == (3,)
    assert task.form.label == header.split(",")[column] and note in " ".join(task.notes)


@pytest.mark.parametrize(
    ("labels", "names"),
    [([0, 1], ()), ([1, 2], ("1", "2")), ([-1, 1], ("-1", "1")), ([10, 9], ("9", "10")), (["1.0", "2.0"], ("1", "2"))],
)
def test_classes_that_are_numbers(tmp_path, labels, names):
    (tmp_path / "a.csv").write_text("\n".join(f"{i / 7},{labels[i % 2]}" for i in range(30)))
    task = load(tmp_path / "a.csv")
    assert task.class_names == names and task.num_classes == 2
    assert ("numbered from 0" in " ".join(task.notes)) == (names != ())


def test_words_become_a_feature_each_and_what_is_no_feature_is_said(tmp_path):
    lines = [f"{i},{i / 3},{COLOURS[i]},7,name {i},{'uv'[i % 2]}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join([",height,colour,same,name,kind", *lines]))
    task = load(tmp_path / "a.csv", label="kind")
    features = [feature for column in task.form.columns for feature in column.features]
    assert features == ["height", "colour = blue", "colour = red", "same"]
    found = {round(3 * x[0]): x[1:3].tolist() for part in (task.train, task.validation, task.test) for x in part.x}
    assert found == {i: [float(c == "blue"), float(c == "red")] for i, c in enumerate(COLOURS)}
    notes = " ".join(task.notes)
    for said in ("2 features", "same value in every row", "first column has no name", "name is left out"):
        assert said in notes


def test_groups_stay_whole_and_classes_are_in_proportion(tmp_path):
    people, y = RNG.integers(0, 25, 400), RNG.integers(0, 2, 400)
    (tmp_path / "a.csv").write_text(
        "\n".join(["x,who,label", *(f"{i + p / 100},p{p},{c}" for i, (p, c) in enumerate(zip(people, y, strict=True)))])
    )
    task = load(tmp_path / "a.csv", group="who")
    assert task.shape == (1,)
    who = {round(float(np.float32(i + p / 100)), 2): p for i, p in enumerate(people)}
    groups = [{who[round(float(x[0]), 2)] for x in part.x} for part in (task.train, task.validation, task.test)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 25 and all(groups)
    sizes = [len(part.y) for part in (task.train, task.validation, task.test)]
    assert sum(sizes) == 400 and abs(sizes[2] - 80) < 20 and abs(sizes[1] - 40) < 20
    # Cut without groups, people are in several parts.
    (tmp_path / "b.csv").write_text("\n".join(["x,label", *(f"{x},{c}" for x, c in zip(who, y, strict=True))]))
    cut = load(tmp_path / "b.csv")
    assert {who[round(float(x[0]), 2)] for x in cut.train.x} & {who[round(float(x[0]), 2)] for x in cut.test.x}


CSV = {
    "empty": ("", "is empty"),
    "spaces": ("\n \n", "is empty"),
    "one column": ("label\n1\n2\n", "one cell in its first line"),
    "names only": ("a,b,label\n", "no rows"),
    "ragged": ("a,b,label\n1,2,x\n1,x\n", "3 cells in its first line and 2 in line 3"),
    "missing": ("a,b,label\n1,,x\n2,?,y\n3,4,x\n,5,y\n", r"missing values, of 4 rows: a \(1\), b \(2\)"),
    "missing label": ("a,label\n1,x\n2,\n3,y\n", r"label \(1\)"),
    "words among numbers": (
        "a,label\n" + "1,x\n2,y\n" * 9 + "3..5,x\n",
        "18 numbers and 1 words, such as '3..5' in row",
    ),
    "infinite": ("a,label\n1,x\ninf,y\n2,x\n", "infinite"),
    "no classes": ("a,b\n" + "".join(f"{i},{i * 1.5}\n" for i in range(60)), "name one by --label, of a, b"),
    "one class": ("a,label\n1,x\n2,x\n", "only class x"),
    "as many classes as rows": ("a,label\n" + "".join(f"{i},c{i}\n" for i in range(60)), "unlikely to be classes"),
    "double": ("a,a,label\n1,2,x\n", "two columns named 'a'"),
    "label alone": (
        "label,name\nx,1a\ny,1b\n" + "".join(f"{'xy'[i % 2]},n{i}\n" for i in range(50)),
        "no feature besides",
    ),
    "huge": ("a,label\n1e300,x\n2,y\n" * 1, "too large for float32"),
    "times of day": (
        "a,label\n" + "".join(f"{1.7e9 + i},{'xy'[i % 2]}\n" for i in range(20)),
        "float32 cannot tell apart",
    ),
    "another encoding": ("a,label\n1,Süd\n".encode("latin-1"), "not UTF-8 text"),
    "binary": (b"PAR1" + bytes(40), "zero bytes"),
    "fractions as classes": ("a,y\n" + "".join(f"{i},{i / 8}\n" for i in range(20)), "so it is not a class"),
}


@pytest.mark.parametrize(("content", "message"), CSV.values(), ids=CSV.keys())
def test_tables_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(tmp_path / "a.csv", message)


def test_no_such_column_and_no_such_file(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,x\n2,y\n" * 9)
    for label in ("d", "0", "3", 7):
        refused(tmp_path / "a.csv", f"no column {label} for the label; its 2 columns are a, b", label=label)
    refused(tmp_path / "a.csv", "both the label and the group", label="b", group="b")
    refused(tmp_path / "b.csv", "No such file")
    (tmp_path / "c.csv").mkdir()
    refused(tmp_path / "c.csv", "a folder of no known format")


def test_groups_too_few_or_of_one_class(tmp_path):
    (tmp_path / "a.csv").write_text("a,g,label\n" + "".join(f"{i},{i % 2},{'xy'[i % 3 > 0]}\n" for i in range(30)))
    refused(tmp_path / "a.csv", "2 groups and 3 parts", group="g")


def test_another_table_is_read_as_the_first_was(tmp_path):
    (tmp_path / "a.csv").write_text(
        "height,colour,label\n" + "".join(f"{i / 4},{COLOURS[i]},{'xyz'[i % 3]}\n" for i in range(40))
    )
    form = load(tmp_path / "a.csv").form
    assert type(form).from_json(form.to_json()) == form
    (tmp_path / "new.csv").write_text("colour,more,height\nblue,1,2.5\nred,,3\n")
    read = read_like(tmp_path / "new.csv", form)
    assert read.x.tolist() == [[2.5, 1, 0], [3, 0, 1]] and read.y is None
    (tmp_path / "new.csv").write_text("label,colour,height\nz,blue,2.5\nx,red,3\n")
    assert read_like(tmp_path / "new.csv", form).y.tolist() == [2, 0]
    for content, message in {
        "height,label\n1,x\n": "lacks the column colour",
        "height,colour\n1,green\n": "colour has green, which was not in training: blue, red",
        "height,colour\n,red\n": r"missing values, of 1 rows: height \(1\)",
        "height,colour\ntall,red\n": "height has 'tall'; expected numbers",
        "height,colour,label\n1,red,q\n": "has the class q",
    }.items():
        (tmp_path / "new.csv").write_text(content)
        with pytest.raises(ValueError, match=message):
            read_like(tmp_path / "new.csv", form)


def test_another_table_without_names(tmp_path):
    (tmp_path / "a.csv").write_text("".join(f"{'xyz'[i % 3]},{i / 4},{-i}\n" for i in range(40)))
    form = load(tmp_path / "a.csv", label=1).form
    for content, y in (("1,2\n3,4\n", None), ("y,1,2\nx,3,4\n", [1, 0])):
        (tmp_path / "new.csv").write_text(content)
        read = read_like(tmp_path / "new.csv", form)
        assert read.x.tolist() == [[1, 2], [3, 4]]
        assert (read.y is None) if y is None else read.y.tolist() == y
    (tmp_path / "new.csv").write_text("1,2,3,4\n")
    with pytest.raises(ValueError, match="4 columns without names"):
        read_like(tmp_path / "new.csv", form)


# --- ARFF: SciPy is the other reader


ARFF = """% a comment
@RELATION iris
@ATTRIBUTE 'sepal length' REAL
@attribute width	NUMERIC
@attribute colour {red, 'light blue', "it's"}
@attribute class {Iris-setosa,Iris-virginica}
@DATA
"""


def test_arff_is_what_scipy_reads(tmp_path):
    from scipy.io import arff

    values = RNG.normal(size=(30, 2))
    words = ["red", "blue"]
    rows = [
        f"{a!r},{b!r},{words[i % 2]},Iris-{['setosa', 'virginica'][i // 2 % 2]}"
        for i, (a, b) in enumerate(values.tolist())
    ]
    (tmp_path / "a.arff").write_text(ARFF.replace("'light blue', \"it's\"", "blue") + "\n".join(rows))
    task = load(tmp_path / "a.arff")
    found, meta = arff.loadarff(tmp_path / "a.arff")
    other: Any = found
    assert task.form.names == tuple(meta.names()) and task.class_names == meta["class"][1]
    expected = sorted(
        (
            (
                *np.array([row["sepal length"], row["width"]], np.float32).tolist(),
                float(c == b"red"),
                float(c == b"blue"),
            ),
            row["class"].decode(),
        )
        for row in other
        for c in [row["colour"]]
    )
    assert rows_of(task) == expected


def test_quotes_in_arff(tmp_path):
    cells = ["'light blue'", '"it\'s"', "red", "'red'"]
    rows = "".join(f"{i},0, {cells[i % 4]} ,Iris-{['setosa', 'virginica'][i % 2]}\n" for i in range(32))
    (tmp_path / "a.arff").write_text(ARFF + rows)
    task = load(tmp_path / "a.arff")
    assert task.form.columns[2].categories == ("red", "light blue", "it's")
    found = {int(x[0]): x[2:].tolist() for part in (task.train, task.validation, task.test) for x in part.x}
    assert found == {i: [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]][i % 4] for i in range(32)}


REFUSED_ARFF = {
    "nothing": ("", "is empty"),
    "no data": (ARFF.replace("@DATA", ""), "no line @data"),
    "no rows": (ARFF, "no rows after @data"),
    "missing": (ARFF + "?,1,red,Iris-setosa\n", r"sepal length \(1\)"),
    "few values": (ARFF + "1,red,Iris-setosa\n", "3 values in row 1 and 4 attributes"),
    "a word": (ARFF + "1,wide,red,Iris-setosa\n", "width is 'wide' in row 1; expected a number"),
    "no such word": (ARFF + "1,1,green,Iris-setosa\n", "colour is green; it declares red, light blue, it's"),
    "sparse": (ARFF + "{0 1, 3 Iris-setosa}\n", "sparse rows"),
    "open quote": (ARFF + "1,1,'red,Iris-setosa\n", "close its quotes"),
    "a date": (ARFF.replace("NUMERIC", "date"), "of type date"),
    "a text": (ARFF.replace("NUMERIC", "string"), "of type string"),
    "no attribute": (ARFF.replace("@attribute width", "@width"), "expected @attribute NAME TYPE"),
    "of the UEA": ("@relation r\n@attribute s relational\n@attribute a numeric\n@end s\n@data\n", "give the .ts file"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED_ARFF.values(), ids=REFUSED_ARFF.keys())
def test_arff_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.arff").write_text(content)
    refused(tmp_path / "a.arff", message)


# --- pandas and pyarrow


def frame(pandas):
    """Numbers of several types, words, a category, truth values."""
    return pandas.DataFrame(
        {
            "a": NUMBERS[:, 0],
            "b": np.arange(40, dtype=np.int16) ** 2,
            "c": NUMBERS[:, 1].astype(np.float32),
            "colour": COLOURS,
            "kind": pandas.Categorical(np.array(["low", "high"])[np.arange(40) % 2], ["low", "high"]),
            "flag": np.arange(40) % 3 == 0,
            "target": WORDS,
        }
    )


def expected_of(pandas):
    table = frame(pandas)
    words = [(table[name] == word).to_numpy(float) for name, word in WORDS_OF.items() for word in word]
    numbers = [table[name].to_numpy(np.float64) for name in "abc"]
    x = np.stack([*numbers, *words, table["flag"].to_numpy(float)], axis=1).astype(np.float32)
    return sorted((tuple(row), str(word)) for row, word in zip(x.tolist(), WORDS, strict=True))


WORDS_OF = {"colour": ["blue", "red"], "kind": ["low", "high"]}


@pytest.mark.parametrize("kind", ["frame", "arrow", "parquet", "feather", "nullable"])
def test_what_pandas_and_pyarrow_hold_and_write(tmp_path, kind):
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    table = frame(pandas)
    if kind == "frame":
        source = table
    elif kind == "nullable":
        source = table.convert_dtypes()
    elif kind == "arrow":
        source = pyarrow.Table.from_pandas(table)
    else:
        source = tmp_path / f"a.{kind}"
        getattr(table, f"to_{kind}")(source)
    task = load(source)
    ordered = expected_of(pandas)
    if kind in ("arrow", "parquet", "feather"):  # Arrow forgets which words are declared; they are sorted
        place = [column.name for column in task.form.columns].index("kind")
        if task.form.columns[place].categories == ("high", "low"):
            ordered = sorted(((*x[:5], x[6], x[5], x[7]), word) for x, word in ordered)
    assert rows_of(task) == ordered


def test_what_pandas_writes_as_csv(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = frame(pandas)[["a", "b", "colour", "target"]]
    table.to_csv(tmp_path / "index.csv")
    table.to_csv(tmp_path / "plain.csv", index=False)
    assert "counts the rows" in " ".join(load(tmp_path / "index.csv").notes)
    assert rows_of(load(tmp_path / "index.csv")) == rows_of(load(tmp_path / "plain.csv"))
    assert rows_of(load(tmp_path / "plain.csv")) == rows_of(load(table))


def test_frames_that_cannot_be_used(tmp_path):
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    table = frame(pandas)
    refused(table.assign(a=table["a"].where(table["a"] > 0)), r"missing values, of 40 rows: a \(\d+\)")
    refused(table.assign(a=[None, *table["colour"][1:]]), r"a \(1\)")
    refused(table.assign(a=pandas.Timestamp("2020-01-01")), "holds Timestamp|holds int")
    refused(table.assign(a=[[1]] * 40), "holds list")
    refused(table[:0], "no rows")
    refused(table[["a", "b"]], "name one by --label")
    refused(pyarrow.table({"a": [[1.0]] * 4, "y": [0, 1, 0, 1]}), "holds list")
    for content in (b"", b"PAR1", b"words and nothing else"):
        (tmp_path / "a.parquet").write_bytes(content)
        refused(tmp_path / "a.parquet", "is damaged or not such a table")
    refused(tmp_path / "a", "not a file")
    refused(tmp_path / "none.parquet", "not a file")
    table.to_parquet(tmp_path / "a.parquet")
    assert spoil(tmp_path / "a.parquet") > 20


@pytest.mark.parametrize("suffix", ["csv", "arff"])
def test_spoilt_text_is_read_or_refused(tmp_path, suffix):
    rows = "".join(f"{i}.5,{i}.25,red,Iris-{['setosa', 'virginica'][i % 2]}\n" for i in range(30))
    (tmp_path / f"a.{suffix}").write_text((ARFF if suffix == "arff" else "a,b,c,label\n") + rows)
    assert spoil(tmp_path / f"a.{suffix}") > 10
