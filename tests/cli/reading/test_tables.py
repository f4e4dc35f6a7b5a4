"""Tables of all formats: the same rows give the same sample; what is no number is made one, or said to be left."""

import csv
import gzip
import json
import os
import pickle

import numpy as np
import pytest

from kmix_tf.cli import main
from kmix_tf.cli.audit import trying
from kmix_tf.cli.compare import comparing
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.rows import read_rows
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.reading.survey import Survey
from kmix_tf.cli.terminal import UserError
from kmix_tf.trial import Trial

arrow = pytest.importorskip("pyarrow")
ROWS = 40
GENERATOR = np.random.default_rng(0)
AGE = [None if i % 7 == 3 else int(i) for i in range(ROWS)]
COLOUR = [None if i % 10 == 9 else ("red", "green", "blue")[i % 3] for i in range(ROWS)]
DAY = [f"2026-01-{1 + i % 28:02d}" for i in range(ROWS)]
NAME = [f"person {i}" for i in range(ROWS)]
MEMBER = [bool(i % 3) for i in range(ROWS)]
WEIGHT = GENERATOR.normal(size=ROWS).round(3).tolist()
KIND = [("cat", "dog")[i % 2] for i in range(ROWS)]
PATIENT = [f"p{i // 4}" for i in range(ROWS)]
COLUMNS = {
    "age": AGE, "colour": COLOUR, "day": DAY, "name": NAME, "member": MEMBER, "weight": WEIGHT, "patient": PATIENT,
    "kind": KIND,
}  # fmt: skip


def write_csv(path, columns=COLUMNS):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(
            ["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True)
        )


def as_arrow():
    dates = arrow.array(np.array(DAY, "datetime64[s]"))
    coloured = arrow.array(COLOUR).dictionary_encode()
    return arrow.table({**COLUMNS, "day": dates, "colour": coloured})


def write_parquet(path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(as_arrow(), path, row_group_size=16)


def write_feather(path):
    import pyarrow.feather

    pyarrow.feather.write_feather(as_arrow(), str(path))


def write_saved(path):
    """As Hugging Face's library does: streams of batches, and what they hold beside them."""
    path.mkdir()
    table = as_arrow()
    codes = arrow.array([("cat", "dog").index(kind) for kind in KIND], arrow.int64())
    table = table.set_column(table.schema.get_field_index("kind"), "kind", codes)
    for number, part in enumerate((table[:25], table[25:])):
        file = str(path / f"data-{number}.arrow")
        with arrow.OSFile(file, "wb") as sink, arrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(part)
    files = [{"filename": f"data-{number}.arrow"} for number in range(2)]
    (path / "state.json").write_text(json.dumps({"_data_files": files}))
    features = {"kind": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "age": {"dtype": "int64", "_type": "Value"}}
    (path / "dataset_info.json").write_text(json.dumps({"features": features}))


WRITERS = {
    "t.csv": write_csv, "t.csv.gz": write_csv, "t.parquet": write_parquet, "t.feather": write_feather,
    "saved": write_saved,
}  # fmt: skip


def expected():
    """The features by hand: columns in order, medians for missing numbers, a column for each of several words."""
    known = [age for age in AGE if age is not None]
    age = [np.median(known) if each is None else each for each in AGE]
    values = ["blue", "green", "missing", "red"]
    colour = [[float((each or "missing") == value) for value in values] for each in COLOUR]
    day = (np.array(DAY, "datetime64[D]") - np.datetime64("1970-01-01")).astype(float)
    return np.column_stack([age, colour, day, np.array(MEMBER, float), WEIGHT])


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_give_the_same_sample_and_what_was_done_is_said(name, tmp_path):
    WRITERS[name](tmp_path / name)
    source = open_data([str(tmp_path / name)], Options(target="kind", drop=("patient",)))
    sample = collect(source, 1000, 0)
    assert sample.classes == ["cat", "dog"] and sample.y.tolist() == [i % 2 for i in range(ROWS)]
    np.testing.assert_allclose(sample.x, expected())
    assert source.columns == [
        "age", "colour=blue", "colour=green", "colour=missing", "colour=red", "day",
        "member=True" if "csv" in name else "member", "weight",
    ]  # fmt: skip
    notes = " ".join(sample.notes)
    assert "Missing cells were filled in" in notes and "age (6), colour (4)" in notes
    assert "more than 20 different words each: name." in notes and "Dates became days since 1970: day." in notes


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_time_and_group_are_no_features_and_go_with_the_rows_that_are_kept(name, tmp_path):
    WRITERS[name](tmp_path / name)
    options = {"target": "kind", "drop": ("name",)}
    by_group = open_data([str(tmp_path / name)], Options(**options, group="patient"))
    sample = collect(by_group, 15, 3)
    assert (
        sample.beside["groups"].tolist() == [PATIENT[i] for i in sample.index] and "patient" not in by_group.columns
    )
    assert "as rows are split by it: patient." in " ".join(sample.notes)
    by_time = open_data([str(tmp_path / name)], Options(**options, time="day"))
    rows = read_rows(by_time, 10, 1, lambda count: None)
    days = (np.array(DAY, "datetime64[D]") - np.datetime64("1970-01-01")).astype(float)
    assert len(rows.beside["time"]) == 10 and set(rows.beside["time"]) <= set(days) and "day" not in by_time.columns


@pytest.mark.parametrize(("command", "place"), [("audit", trying), ("compare", comparing)])
def test_the_commands_split_by_what_they_are_told(command, place, tmp_path, capsys, monkeypatch):
    write_csv(tmp_path / "t.csv")
    given = {}

    def taken(x, y, *mixes, **options):
        given.update(options)
        return Trial("cannot say", "as it was not tried.")

    monkeypatch.setattr(place, "compare_mixes", taken)
    arguments = [command, str(tmp_path / "t.csv"), "--target", "kind", "--drop", "name", "--json"]
    assert main([*arguments, "--group", "patient", "--out", str(tmp_path / command)]) == 0
    assert sorted(given["groups"]) == sorted(PATIENT) and "time" not in given
    assert json.loads(capsys.readouterr().out)["setting"]["group"] == "patient"


def table(tmp_path, **columns):
    write_csv(tmp_path / "t.csv", columns)
    return open_data([str(tmp_path / "t.csv")], Options())


def test_two_words_are_one_column_and_numbers_among_words_are_words(tmp_path):
    size = ["1", "2", "3+"] * 10
    source = table(tmp_path, yes=["no", "yes"] * 15, size=size, y=["0", "1"] * 15)
    sample = collect(source, 100, 0)
    assert source.columns == ["yes=yes", "size=1", "size=2", "size=3+"]
    np.testing.assert_array_equal(sample.x[:, 1:], [[float(s == v) for v in ("1", "2", "3+")] for s in size])


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_text_that_spells_numbers_is_numbers_in_every_format(name, tmp_path):
    import pyarrow.parquet

    columns = {"a": [None if i == 3 else str(2000 + i) for i in range(30)], "y": [i % 2 for i in range(30)]}
    if name == "t.csv":
        write_csv(tmp_path / name, columns)
    else:
        pyarrow.parquet.write_table(arrow.table(columns), tmp_path / name)
    sample = collect(open_data([str(tmp_path / name)], Options()), 100, 0)
    expected = [2000.0 + i for i in range(30)]
    expected[3] = np.median(expected[:3] + expected[4:])
    np.testing.assert_array_equal(sample.x[:, 0], expected)


def test_dates_of_a_zone_are_moments(tmp_path):
    when = ["2026-01-31", "2026-01-31T10:00:00+02:00", "2026-01-31 08:00", "2026-01-30T22:30:00.5-09:30"] * 8
    sample = collect(table(tmp_path, when=when, y=["0", "1"] * 16), 100, 0)
    assert (24 * (sample.x[:4, 0] - sample.x[0, 0])).round(6).tolist() == [0.0, 8.0, 8.0, 8.0]


def test_words_that_come_late_are_not_lost(tmp_path, monkeypatch):
    """Blocks of a few rows: the first ones of `size` hold numbers alone."""
    monkeypatch.setattr("kmix_tf.cli.reading.source.BLOCK_VALUES", 10)
    size = ["1"] * 20 + ["large"] * 20
    sample = collect(table(tmp_path, a=list(range(40)), size=size, y=["0", "1"] * 20), 100, 0)
    np.testing.assert_array_equal(sample.x[:, 1], np.repeat([0.0, 1.0], 20))


def test_medians_of_long_tables_are_of_rows_at_equal_steps():
    survey = Survey([0])
    survey._most = 100

    class Numbers:
        is_date = is_other = False

        def __init__(self, values):
            self.numbers = lambda: values
            self.words = lambda: [str(value) for value in values]

    from kmix_tf.cli.reading.columns import Chunk

    for start in range(0, 10_000, 500):
        survey.add(Chunk([Numbers(np.arange(start, start + 500, dtype=float))], 500, str))
    kept = np.concatenate(survey.seen[0].kept)
    assert 50 <= len(kept) <= 700 and abs(survey.seen[0].median() - 5000) < 10_000 / 50
    assert len(np.unique(np.diff(kept[: len(kept) // 2]))) == 1


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"a": ["1"] * 30 + ["oops"], "y": [0] * 31}, {}, r"Received: 'oops' in line 32, column 'a', whose other"),
        ({"a": ["1", "inf", "2"], "y": [0, 1, 0]}, {}, "Received: inf in line 3, column 'a'"),
        ({"a": [f"id {i}" for i in range(30)], "y": [0, 1] * 15}, {}, "at least one column of numbers"),
        ({"a": [1, 2], "g": ["x", ""], "y": [0, 1]}, {"group": "g"}, "the group 'g' is missing in line 3"),
        ({"a": [1, 2], "t": ["x", "z"], "y": [0, 1]}, {"time": "t"}, "the time 't' must be numbers, or dates"),
        ({"a": [1, 2], "t": ["2026-06-31"] * 2, "y": [0, 1]}, {"time": "t"}, "the time 't' must be numbers, or"),
        ({"a": [1, 2], "y": [0, 1]}, {"time": "when"}, "--time: .* has no column 'when'"),
    ],
)
def test_what_cannot_be_made_numbers_is_refused_with_its_place(columns, options, message, tmp_path):
    write_csv(tmp_path / "t.csv", columns)
    with pytest.raises(UserError, match=message) as caught:
        collect(open_data([str(tmp_path / "t.csv")], Options(**options)), 100, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d.pkl", "a pickle runs whatever code it holds"),
        ("d.joblib", "a pickle runs whatever code it holds"),
        ("d.xlsx", "Save the sheet as CSV"),
        ("d.json", "Write a CSV or Parquet file"),
        ("d.gz", "DATA must be"),
    ],
)
def test_what_is_not_opened_says_what_to_do(name, message, tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / name).write_bytes(pickle.dumps(Bad()))
    with pytest.raises(UserError, match=message):
        open_data([str(tmp_path / name)], Options())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "saved/data-0.arrow", "t.csv.gz"])
def test_files_cut_short_are_refused_in_a_line(name, tmp_path):
    WRITERS[name.partition("/")[0]](tmp_path / name.partition("/")[0])
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError) as caught:
        collect(open_data([str(tmp_path / name.partition("/")[0])], Options(target="kind")), 100, 0)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_several_saved_datasets_are_named(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(UserError, match=r"holds several datasets: train, test\. Name one, such as .*train"):
        open_data([str(tmp_path / "d")], Options())


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, capsys):
    write_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main(["audit", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'kmix_tf[tables]'" in capsys.readouterr().err
