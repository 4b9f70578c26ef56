"""Kinds of ordinary tables, each with the right values: how numbers and dates are written, headers, what is a label."""

from __future__ import annotations

import importlib.util
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest

import portanet as pn
from portanet.data import Wishes, load
from portanet.data.numbers import as_numbers, decimal_of, number_form
from portanet.data.planned import encoded, plan_of
from portanet.errors import DataError


def read(tmp_path, text, name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, **options)


def column(data, name):
    plan = plan_of(data)
    own = encoded(data, plan)
    return own.x[:, own.features.index(name)], next(c for c in plan.columns if c.name == name)


@pytest.mark.parametrize(
    ("cells", "form", "x"),
    [
        (["$1,234.50", "-$5.00", "$-6", "($7.00)"], "$1,000", [1234.5, -5, -6, -7]),
        (["1.234,50 €", "12,00 €", "3 €"], "0,5€", [1234.5, 12, 3]),
        (["EUR 1 234,50", "EUR 2,5"], "EUR0,5", [1234.5, 2.5]),
        (["12.5%", "3%", "-1 %"], "0.5%", [12.5, 3, -1]),
        (["1'234.50", "2’000", "3"], "1,000", [1234.5, 2000, 3]),
        (["1\u202f234,50", "1 000,0", "2\u00a0000"], "0,5", [1234.5, 1000, 2000]),
        (["1 234", "12 345 678"], "1,000", [1234, 12345678]),
        (["\u22121.5", "2"], "0.5", [-1.5, 2]),
        (["(12.30)", "5"], "0.5", [-12.3, 5]),
        (["1e3", "2"], "", [1000, 2]),
    ],
)
def test_how_numbers_are_written(cells, form, x):
    assert number_form(cells, None) == form
    assert as_numbers(cells, form) == x


@pytest.mark.parametrize(
    "cells",
    [
        ["Person 1", "Person 2"],
        ["C0012", "C0013"],
        ["2WD", "4WD"],
        ["(1)", "(2)"],
        ["$1", "€2"],
        ["1 kg", "2 g"],
        ["12%", "0.5"],
        ["1_000", "2"],
        ["1,00,0", "2"],
        ["+-3", "4"],
        ["192.168.1.10", "10.0.0.1"],
        ["10:30", "11:00"],
    ],
)
def test_what_is_no_number(cells):
    assert number_form(cells, None) is None


def test_units_after_many_numbers(tmp_path):
    rows = "".join(f"{i / 2} kg,{i % 3},{'ab'[i % 2]}\n" for i in range(60))
    x, found = column(read(tmp_path, "weight,n,label\n" + rows), "weight")
    np.testing.assert_array_equal(x, np.arange(60) / 2)
    assert (found.kind, found.form) == ("number", "0.5kg")


def test_the_table_shows_what_a_comma_is(tmp_path):
    rows = "".join(f'"{i},500","{i},000.25",{"ab"[i % 2]}\n' for i in range(1, 30))
    x, _ = column(read(tmp_path, "income,price,label\n" + rows), "income")
    np.testing.assert_array_equal(x, [1000 * i + 500 for i in range(1, 30)])
    rows = "".join(f"{i}.345;{i},5;{'ab'[i % 2]}\n" for i in range(1, 30))  # people, and a decimal comma
    data = read(tmp_path, "people;size;label\n" + rows)
    x, found = column(data, "people")
    np.testing.assert_array_equal(x, [1000 * i + 345 for i in range(1, 30)])
    assert found.form == "0,5"
    # A later table of one row shows nothing: it is read as the training table was.
    plan = plan_of(data)
    (tmp_path / "one.csv").write_text("people;size;label\n7.345;2;a\n")
    later = load(tmp_path / "one.csv", reading=plan.as_read())
    assert plan.encode(later.x, "one", later.features)[0].tolist() == [7345.0, 2.0]
    assert decimal_of([["1,234"], ["1,5"]]) == ","
    assert decimal_of([["1,234"], ["1,234.5"]]) == "."
    assert decimal_of([["1,5"], ["1,234.5"]]) is None


def test_a_target_with_commas_or_in_dollars_is_a_number(tmp_path):
    for cell in ("${},250.00", '"{},250.5"', "{}'250"):
        quoted = cell if cell.startswith('"') else f'"{cell}"'
        rows = "".join(f"{i}.5,{quoted.format(i)}\n" for i in range(1, 30))
        data = read(tmp_path, "x,price\n" + rows, target="price")
        assert data.classes == ()
        assert int(data.y[4]) == 5250
    few = "".join(f"{i}.5,{(10, 20)[i % 2]}%\n" for i in range(30))
    assert read(tmp_path, "x,rate\n" + few, target="rate").classes == ("10%", "20%")  # as they were written


@pytest.mark.parametrize(
    ("form", "exact"),
    [
        ("%m/%d/%y", "day"),
        ("%d.%m.%y", "day"),
        ("%d %B %Y", "day"),
        ("%b %d, %Y", "day"),
        ("%B %d, %Y", "day"),
        ("%m/%d/%Y %I:%M %p", "minute"),
        ("%a, %d %b %Y %H:%M:%S", "second"),
        ("%Y-%m", "month"),
    ],
)
def test_how_dates_are_written(tmp_path, form, exact):
    days = [datetime(2020 + i % 3, 1 + i % 12, 13 + i % 15, 9 + i % 12, i, i, tzinfo=UTC) for i in range(40)]
    rows = "".join(f'"{day.strftime(form)}",{i % 5},{"ab"[i % 2]}\n' for i, day in enumerate(days))
    x, found = column(read(tmp_path, "when,n,label\n" + rows), "when")
    assert found.form == form
    cut = {"month": {"day": 1, "hour": 0, "minute": 0, "second": 0}, "day": {"hour": 0, "minute": 0, "second": 0}}
    known = [day.replace(**cut.get(exact, {"second": 0} if exact == "minute" else {})) for day in days]
    np.testing.assert_allclose(x, [day.timestamp() / 86400 for day in known], rtol=0, atol=1e-9)


def test_times_of_day_and_dates_that_may_begin_with_the_day(tmp_path):
    rows = "".join(f"{i % 24}:30,{i % 11 + 1:02d}/{i % 12 + 1:02d}/2020,{'ab'[i % 2]}\n" for i in range(60))
    data = read(tmp_path, "at,day,label\n" + rows)
    x, found = column(data, "at")
    np.testing.assert_allclose(x, [(i % 24 + 0.5) / 24 for i in range(60)])
    assert found.parts == ("day",)
    _, found = column(data, "day")
    assert (found.form, found.why) == ("%m/%d/%Y", "or is the day first?")


def test_codes_with_zeros_in_front_are_categories(tmp_path):
    rows = "".join(f"{('01067', '10115', '80331')[i % 3]},{i / 2},{'ab'[i % 2]}\n" for i in range(30))
    data = read(tmp_path, "place,x,label\n" + rows)
    codes, found = column(data, "place")
    assert (found.kind, len(found.categories)) == ("category", 3)
    # Without its zero, as a frame of numbers has it, it is the same place.
    later = read(tmp_path, "place,x,label\n1067,1,a\n", "later.csv")
    assert plan_of(data).encode(later.x, "later", later.features)[0, 0] == codes[0]


@pytest.mark.parametrize("word", [".", "-nan", "unknown", "Missing", "n.a."])
def test_words_for_missing_values(tmp_path, word):
    rows = "".join(f"{word if i % 5 == 0 else i / 4},{i % 3},{'ab'[i % 2]}\n" for i in range(60))
    _, found = column(read(tmp_path, "x,n,label\n" + rows), "x")
    assert (found.kind, found.flag) == ("number", True)
    rows = "".join(f"{i},{('unknown', 'known')[i % 2]}\n" for i in range(20))
    assert read(tmp_path, "x,label\n" + rows).classes == ("known", "unknown")  # a class may be called so


def test_what_says_which_rows_were_taken_is_left_out(tmp_path):
    order = np.random.default_rng(0).permutation(60)
    rows = "".join(f"{i},{i / 7:.3f},{'ab'[i % 2]}\n" for i in order)
    for name in ("", "Unnamed: 0", "__index_level_0__"):
        plan = plan_of(read(tmp_path, f"{name},x,label\n" + rows))
        assert [c.name for c in plan.kept] == ["x"]
    tokens = ["51e337799", *(f"{i * 2654435761 % 2**36:09x}" for i in range(1, 60))]
    hexadecimal = "".join(f"{token},{i / 7:.3f},{'ab'[i % 2]}\n" for i, token in enumerate(tokens))
    plan = plan_of(read(tmp_path, "token,x,label\n" + hexadecimal))
    assert [c.name for c in plan.kept] == ["x"]  # not "expected finite numbers"


def test_headers_that_lack_a_name(tmp_path):
    rows = "".join(f'"{i + 1}",{i / 4},{"ab"[i % 2]}\n' for i in range(30))  # as R writes them
    data = read(tmp_path, "x,label\n" + rows)
    x, _ = column(data, "x")
    np.testing.assert_array_equal(x, np.arange(30) / 4)
    rows = "".join(f"{i / 4},{'ab'[i % 2]},\n" for i in range(30))
    x, _ = column(read(tmp_path, "x,label\n" + rows), "x")
    np.testing.assert_array_equal(x, np.arange(30) / 4)


def test_headers_of_years_and_notes_above(tmp_path):
    rows = "".join(f"{i / 4},{i / 3:.3f},{i / 2}\n" for i in range(30))
    data = read(tmp_path, "2018,2019,2020\n" + rows, target="2020")
    assert (data.features, data.x.shape) == (("2018", "2019"), (30, 2))
    assert read(tmp_path, "1,2,4\n2,3,5\n3,4,6\n4,5,7\n", target="last").x.shape == (4, 2)  # data, all of it
    rows = "".join(f"{i / 4},{'ab'[i % 2]}\n" for i in range(30))
    assert read(tmp_path, "# made by a tool\n# in 2024, by hand, and so on\nx,label\n" + rows).features == ("x",)
    assert read(tmp_path, "#x,label\n" + rows).features == ("#x",)  # a header of as many cells as the rows


def test_numbers_in_columns_of_spaces_and_a_name_after_a_tab(tmp_path):
    rows = "".join(
        f'{15 + i / 10:.1f}   {4 + i % 3}   {"?" if i == 3 else i * 2.5}  70\t"car {i} b"\n' for i in range(30)
    )
    data = read(tmp_path, rows, "auto.data", target="first")
    assert data.x.shape == (30, 4)
    assert data.y[:2].tolist() == [15.0, 15.1]


def test_what_a_target_is(tmp_path):
    years = "".join(f"{i / 4},{1960 + 7 * i % 60}\n" for i in range(120))
    data = read(tmp_path, "x,year\n" + years, target="year")
    assert (data.classes, data.y[1]) == ((), 1967.0)
    assert len(read(tmp_path, "x,year\n" + years, target="year", task="classification").classes) > 20
    texts = "".join(f"{i / 4},opinion {i}\n" for i in range(60))
    with pytest.raises(DataError, match=r"60 different ones in 60 rows.*--task classification"):
        read(tmp_path, "x,text\n" + texts, target="text")
    mistakes = "".join(f"{i / 4},{'oops' if i == 7 else i / 3}\n" for i in range(60))
    with pytest.raises(DataError, match="most are numbers, 'oops' is none"):
        read(tmp_path, "x,value\n" + mistakes, target="value")


def test_a_boolean_target_has_the_same_names_in_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"x": np.arange(40) / 4, "good": np.arange(40) % 3 == 0})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "a.parquet")
    names = [load(tmp_path / name, target="good") for name in ("a.csv", "a.parquet")]
    assert names[0].classes == names[1].classes == ("False", "True")
    assert plan_of(names[1]).encode(names[1].x, "a", names[1].features).shape == (40, 1)  # without the frame's index


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b'{"x": 1}\n', "JSON"),
        (b'[\n {"x": 1}]', "JSON"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"% about\n@RELATION iris\n", "ARFF"),
        (b"ARROW1\0\0", "Feather"),
        (b"BZh91AY", "bzip2"),
        (b"1 1:0.5 3:2\n", "LIBSVM"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, start, words):
    with pytest.raises(DataError, match=words):
        read(tmp_path, start + b"0" * 64, "t.any")


def test_a_zip_of_a_table_is_named(tmp_path):
    for inner, words in (
        ("train.csv", "a zip that holds train.csv: unpack it"),
        ("xl/workbook.xml", "an Excel workbook"),
    ):
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.writestr(inner, "x,y\n1,2\n")
        with pytest.raises(DataError, match=words):
            load(tmp_path / "t.zip", target="y")


def test_text_in_another_encoding_is_named(tmp_path):
    with pytest.raises(DataError, match="--encoding"):
        read(tmp_path, "Größe,label\n1,a\n".encode("latin-1"))


def test_a_word_in_a_column_of_numbers_is_named(tmp_path):
    rows = "".join(f"{'Total' if i == 59 else i / 4},{i % 3},{'ab'[i % 2]}\n" for i in range(60))
    with pytest.raises(DataError, match="'Total' for one"):
        plan_of(read(tmp_path, "x,n,label\n" + rows))
    assert plan_of(read(tmp_path, "x,n,label\n" + rows), None, Wishes(drop=("x",))).kept[0].name == "n"


def test_a_script_reads_numbers_and_dates_as_they_are_written(tmp_path):
    rng = np.random.default_rng(0)
    rows = ""
    for i in range(60):
        people, money, rate = f"{1 + i % 9}.{100 + 7 * i}", f"{1 + i % 5} {100 + i},{i:02d} €", f"-{i},5 %"
        when = f"{1 + i % 12}/{13 + i % 15}/2020 {1 + i % 12}:05 {'AP'[i % 2]}M"
        rows += f"{people};{money};{rate};{when};{i % 24}:30;{('01067', '10115', '80331')[i % 3]};{rng.normal():.4f}\n"
    data = read(tmp_path, "people;money;rate;when;at;place;y\n" + rows, target="y")
    plan = plan_of(data)
    assert [(c.name, c.form) for c in plan.columns] == [
        ("people", "0,5"),
        ("money", "0,5€"),
        ("rate", "0,5%"),
        ("when", "%m/%d/%Y %I:%M %p"),
        ("at", "%H:%M"),
        ("place", ""),
    ]
    trainer = pn.Trainer(
        pn.Sequential([pn.Dense(8), pn.Tanh(), pn.Dense(1)]), loss="mean_squared_error", dtype="float64"
    )
    trainer.fit(data.x, data.y, epochs=2, verbose=False)
    pn.export.to_numpy_script(trainer, tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.predict(module.read_rows(str(tmp_path / "t.csv")))
    np.testing.assert_allclose(found, trainer.predict(data.x), rtol=1e-9)
