"""Tables as people have them: what each column is taken for, and the numbers that come of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portanet.data import Plan, Reading, Table, Wishes, load
from portanet.data.planned import encoded, plan_of, without_gaps
from portanet.data.readers import table_form, table_text
from portanet.errors import ConfigError, DataError

HEAD = "size,city,new,sold,id,note,always,label\n"
ROWS = [
    "1,Bern,yes,2020-01-01,a1,,x,no",
    "2,Rome,no,2020-07-01,a2,,x,yes",
    ",Bern,yes,2021-01-01,a3,,x,no",
    "4,,no,,a4,,x,yes",
]


def read(tmp_path, text, **options):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, **options)


def kinds(plan):
    return {c.name: c.kind for c in plan.columns}


def test_each_kind_of_column(tmp_path):
    rows = [row.replace("a", f"b{i}-", 1) for i in range(6) for row in ROWS]
    data = read(tmp_path, HEAD + "\n".join(rows))
    assert isinstance(data.x, Table)
    assert data.classes == ("no", "yes")
    plan = plan_of(data)
    assert kinds(plan) == {
        "size": "number",
        "city": "category",
        "new": "boolean",
        "sold": "date",
        "id": "left out",
        "note": "left out",
        "always": "left out",
    }
    own = encoded(data, plan)
    wave = 2 * np.pi * np.array([0.0, 182.0, 366.0]) / 365.2425
    first = 18262  # days from 1970 to 2020-01-01
    turn = 2 * np.pi * first / 365.2425
    assert own.features[:5] == ("city", "size", "size is missing", "new", "sold")
    assert own.features[-1] == "sold is missing"
    np.testing.assert_array_equal(own.x[:4, 0], [0, 1, 0, 2])  # Bern, Rome, and a missing one after them
    np.testing.assert_array_equal(own.x[:4, 1:4], [[1, 0, 1], [2, 0, 0], [2, 1, 1], [4, 0, 0]])
    np.testing.assert_array_equal(own.x[:4, 4], [first, first + 182, first + 366, first + 182])
    sine = own.x[:3, own.features.index("sold sine of the year")]
    np.testing.assert_allclose(sine, np.sin(turn + wave), atol=1e-9)
    np.testing.assert_array_equal(own.x[:4, -1], [0, 0, 0, 1])


def test_a_plan_is_of_the_training_rows_alone_and_is_plain_data(tmp_path):
    data = read(tmp_path, "a,b,label\n1,x,0\n3,y,1\n1000,z,0\n,x,1\n")
    plan = plan_of(data, np.array([0, 1]))
    assert [c.categories for c in plan.columns] == [(), ("x", "y")]
    number = plan.columns[0]
    assert (number.fill, number.mean, number.std, number.flag) == (2.0, 2.0, 1.0, False)
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
    x = plan.encode(data.x, "t")
    np.testing.assert_array_equal(x, [[0, 1], [1, 3], [-1, 1000], [0, 2]])  # z was not seen


@pytest.mark.parametrize(
    ("column", "kind", "x"),
    [
        (["0", "1", "1"], "number", [0, 1, 1]),
        (["True", "False", "NA"], "boolean", [1, 0, 0]),
        (["1_000", "2", "2"], "category", [0, 1, 1]),  # as elsewhere, 1_000 is no number
        (["1,000.5", "2", "2"], "number", [1000.5, 2, 2]),
        (["1,000,000", "2,000", "2"], "number", [1e6, 2000, 2]),
        (["1,5", "2,25", "2"], "number", [1.5, 2.25, 2]),
        (["01.02.2020", "13.02.2020", "13.02.2020"], "date", [18293, 18305, 18305]),
        (["02/13/2020", "02/01/2020", "02/01/2020"], "date", [18305, 18293, 18293]),
        (["2020-02-01T12:00:00Z", "2020-02-02", "2020-02-02"], "date", [18293.5, 18294, 18294]),
        (["#N/A", "3", "?"], "number", [3, 3, 3]),
    ],
)
def test_how_text_is_read(tmp_path, column, kind, x):
    rows = "".join(f'"{cell}",{i},{i % 2}\n' for i, cell in enumerate(column))
    data = read(tmp_path, "a,b,label\n" + rows, task="classification")
    plan = plan_of(data)
    own = encoded(data, plan) if plan else data
    assert plan.columns[0].kind == kind
    np.testing.assert_allclose(own.x[:, own.features.index("a")], x)


def test_what_cannot_be_decided_is_told_all_at_once(tmp_path):
    rows = [f"{i},000;{i};{i % 7 / 2};{i % 2}" for i in range(1, 40)]
    rows[3] = "4,000;oops;inf;0"
    data = read(tmp_path, "price;weight;c;label\n" + "\n".join(rows))
    with pytest.raises(DataError) as caught:
        plan_of(data)
    for words in (
        "'price': '1,000' may have a decimal comma",
        "--decimal",
        "'weight': most of it are numbers, but 1 are ",
    ):
        assert words in str(caught.value)
    for words in ("'oops'", "--categorical", "--drop", "'c': expected finite numbers, got inf"):
        assert words in str(caught.value)
    wishes = Wishes(drop=("c",), categorical=("weight",), decimal=".")
    plan = plan_of(data, None, wishes)
    assert kinds(plan) == {"price": "number", "weight": "left out", "c": "left out"} | {"weight": "category"}
    assert encoded(data, plan).x[0].tolist()[1] == 1000.0
    with pytest.raises(ConfigError, match="--drop: unknown column 'pric'; did you mean 'price'"):
        plan_of(data, None, Wishes(drop=("pric",)))


def test_gaps_as_wished(tmp_path):
    data = read(tmp_path, "a,b,label\n1,1,0\n2,2,1\n,2,0\n6,,1\n")
    filled = {m: encoded(data, plan_of(data, None, Wishes(missing=m))).x.tolist() for m in ("mean", "median")}
    assert filled == {"mean": [[1, 1], [2, 2], [3, 2], [6, 5 / 3]], "median": [[1, 1], [2, 2], [2, 2], [6, 2]]}
    with pytest.raises(DataError, match=r"'a': 1 values are missing.*'b': 1 values"):
        plan_of(data, None, Wishes(missing="error"))
    whole = without_gaps(data, Wishes(missing="drop"))
    assert len(whole) == 2
    assert whole.y.tolist() == [0, 1]


@pytest.mark.parametrize("missing", ["NA", "", "NaN", "#N/A", "?"])
def test_a_missing_label_is_no_class(tmp_path, missing, caplog):
    data = read(tmp_path, f"a,b,label\n1,2,x\n2,3,{missing}\n3,4,y\n")
    assert data.classes == ("x", "y")
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert "1 of 3 rows have no label and are left out" in caplog.text
    with pytest.raises(DataError, match="missing ones alone"):
        read(tmp_path, f"a,b,label\n1,2,{missing}\n2,3,{missing}\n")


def test_labels_stay_as_they_are_written(tmp_path):
    data = read(tmp_path, "a,label\n1,01\n2,02\n3,10\n4,01\n")
    assert data.classes == ("01", "02", "10")
    assert read(tmp_path, "a,label\n1,1\n2,2\n3,10\n").with_classes(data.classes).y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "header", "n"),
    [
        ("0,1,2,3,species\n5.1,3.5,1.4,0.2,setosa\n7,3.2,4.7,1.4,versicolor\n", ("0", "1", "2", "3", "species"), 2),
        ("0,1,2\n5.1,3.5,1\n7,3.2,0\n", ("0", "1", "2"), 2),
        ("0,1,2\n3,4,5\n", (), 2),
        ("?,?,?\n1,2,a\n2,3,b\n", (), 2),
        ("p,x,s\ne,x,s\np,y,t\ne,y,s\n", (), 4),
        ("p,x,s\n1,2,3\n", ("p", "x", "s"), 1),
        ("39, State-gov, 77516\n50, Private, 83311\n", (), 2),
    ],
)
def test_headers(tmp_path, text, header, n):
    data = read(tmp_path, text, target="last")
    assert (data.features + ((data.target,) if data.target else ()) == header) or not header
    assert bool(data.features) == bool(header)
    assert len(data) == n
    settled = read(tmp_path, text, target="last", reading=Reading(header=not header))
    assert bool(settled.features) != bool(header)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("sep=;\na;b;label\n1;2;x\n3;4;y\n", {}),
        ("# made by hand\na,b,label\n1,2,x\n# a pause\n3,4,y\n", {"comment": "#"}),
        ("a|b|label\n1|2|x\n3|4|y\n", {}),
        ("a b   label\n1   2 x\n 3 4 y \n", {}),
        ("a~b~label\n1~2~x\n3~4~y\n", {"delimiter": "~"}),
        ("a,b,label\n1,2,x\n3,4,y\n   \n", {}),
        ("a;b;label\n1,0;2;x\n3;4,0;y\n", {"decimal": ","}),
        ("a,b,label\n1,2,x\n3,4,y\n".encode("utf-16"), {}),
    ],
)
def test_forms_of_text(tmp_path, text, reading):
    data = read(tmp_path, text, reading=Reading(**reading))
    data = encoded(data, plan_of(data, None, Wishes(decimal=reading.get("decimal"))))
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert data.classes == ("x", "y")
    assert data.features == ("a", "b")


def test_other_encodings(tmp_path):
    text = "a,b,label\n1,2,Zürich\n3,4,y\n"
    data = read(tmp_path, text.encode("cp1252"), reading=Reading(encoding="cp1252"))
    assert data.classes == ("Zürich", "y")


def test_an_unknown_encoding_and_a_comment_that_nobody_named(tmp_path):
    with pytest.raises(ConfigError, match="--encoding: expected an encoding"):
        Reading(encoding="latin-one")
    with pytest.raises(DataError, match="by --comment #"):
        read(tmp_path, "# made by hand\na\n1\n2\n")


def test_later_tables_are_matched_by_name(tmp_path, caplog):
    data = read(tmp_path, "a,b,city,label\n1,20,x,0\n2,30,y,1\n3,10,x,0\n")
    plan = plan_of(data)
    x = encoded(data, plan).x
    later = read(tmp_path, "label,more,city,b,a\n0,9,x,20,1\n1,9,y,30,2\n0,9,x,10,3\n")
    np.testing.assert_array_equal(encoded(later, plan).x, x)
    assert "columns that the network was not trained on are ignored: more" in caplog.text
    renamed = read(tmp_path, "a,B,city,label\n1,20,x,0\n2,30,y,1\n")
    with pytest.raises(
        DataError, match=r"should match those that were passed during fit.*now missing: b; .* fit time: B"
    ):
        encoded(renamed, plan)
    with pytest.raises(DataError, match=r"'a': expected numbers as in the training rows, got 'one' .row 0."):
        encoded(read(tmp_path, "a,b,city,label\none,20,x,0\n2,30,y,1\n"), plan)
    headless = read(tmp_path, "1,20,x,0\n2,30,y,1\n3,10,x,0\n", target="last")
    np.testing.assert_array_equal(encoded(headless, plan).x, x)


def test_identifiers_and_constant_numbers_are_left_out(tmp_path):
    rows = "".join(f"{i * 7 % 60},{i % 9},5,{i % 2}\n" for i in range(60))
    data = read(tmp_path, "customer_id,count,always,label\n" + rows)
    assert kinds(plan_of(data)) == {"customer_id": "left out", "count": "number", "always": "left out"}
    assert encoded(data, plan_of(data)).x.shape == (60, 1)
    assert kinds(plan_of(data, None, Wishes(categorical=("customer_id",))))["customer_id"] == "category"
    with pytest.raises(DataError, match="all are left out"):
        plan_of(read(tmp_path, "a,label\n5,0\n5,1\n"))


def test_a_category_that_is_a_number_is_the_same_in_text(tmp_path):
    wishes = Wishes(categorical=("a",))
    plan = plan_of(read(tmp_path, "a,b,label\n1,2,0\n2.5,3,1\n10,3,1\n"), None, wishes)
    assert plan.columns[0].categories == ("1", "10", "2.5")
    data = read(tmp_path, 'a,b,label\n"1.0",2,0\nten,3,1\n2.5,3,0\n')
    assert plan.encode(data.x, "t")[:, 0].tolist() == [0, -1, 2]


@pytest.mark.parametrize(
    ("factor", "offset", "warned"), [(1, 0, 0), (0.001, 0, 1), (1000, 0, 1), (1, 1e6, 1), (2, 1, 0)]
)
def test_another_scale_is_warned_of(tmp_path, caplog, factor, offset, warned):
    rows = [(i % 7 + 0.5, i % 5, i % 2) for i in range(40)]
    plan = plan_of(read(tmp_path, "a,b,label\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows)))
    later = "".join(f"{a * factor + offset},{b},{y}\n" for a, b, y in rows)
    encoded(read(tmp_path, "a,b,label\n" + later), plan)
    assert caplog.text.count("on another scale than in training: a (mean") == warned


def test_pixels_on_another_scale_are_warned_of(tmp_path, caplog):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 16))
    head = ",".join([*(f"p{i}" for i in range(16)), "label"]) + "\n"
    plan = plan_of(read(tmp_path, head + "".join(",".join(map(str, [*row, i % 2])) + "\n" for i, row in enumerate(x))))
    assert plan.pixels
    assert plan.plain
    small = read(tmp_path, head + "".join(",".join(map(str, [*row, i % 2])) + "\n" for i, row in enumerate(x / 255)))
    assert encoded(small, plan).x.shape == (30, 16)
    assert "pixels were 0 to 255 in training" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"columns": 3},
        {"columns": []},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "kind": "nmber"}]},
        {"columns": [{"name": "a", "kind": "number"}, {"name": "a", "kind": "number"}]},
        {"columns": [{"name": "a", "kind": "number", "fill": float("nan")}]},
        {"columns": [{"name": "a", "kind": "category", "categories": [["x"]]}]},
        {"columns": [{"name": "a", "kind": "category"}]},
        {"columns": [{"name": "a", "kind": "date", "parts": ["century"]}]},
        {"target": 3},
        {"place": "0"},
        {"header": "yes"},
        {"reading": {"delimiter": ";;"}},
        {"reading": {"more": 1}},
        {"more": 1},
    ],
)
def test_a_damaged_plan_is_refused(tmp_path, change):
    about = plan_of(read(tmp_path, "a,b,label\n1,x,0\n2,y,1\n")).as_dict()
    assert Plan.from_dict(about).as_dict() == about
    with pytest.raises((ValueError, TypeError, KeyError)):
        Plan.from_dict({**about, **change})


@pytest.mark.parametrize(
    "text",
    [
        'a,b,label\n1,"x,""y""",u\n\n2,"two\nlines",v\n,NA,u\n',
        "a,b,label\r\n1, x ,u\r\n2,é,v\r\n",
        "1;x;u\n2;;v\n",
        "a\tb\tlabel\n1\tx y\tu\n2\t\tv",
    ],
)
def test_pyarrow_and_the_standard_library_read_the_same(tmp_path, text, monkeypatch):
    pytest.importorskip("pyarrow")
    found = read(tmp_path, text, target="last")
    data = bytearray(text.encode())
    form, _ = table_form.sniff(data, tmp_path)
    assert table_text._by_arrow(data, form) is not None
    monkeypatch.setattr(table_text, "_by_arrow", lambda data, form: None)
    wanted = read(tmp_path, text, target="last")
    assert found.classes == wanted.classes
    assert found.x.names == wanted.x.names
    for own, other in zip(found.x.cells, wanted.x.cells, strict=True):
        np.testing.assert_array_equal(own[0], other[0])
        np.testing.assert_array_equal(own[1], other[1])


def test_a_row_that_is_too_long_is_told_with_its_line(tmp_path):
    with pytest.raises(DataError, match="line 3: expected 3 cells, as the header has, got 4"):
        read(tmp_path, "a,b,label\n1,x,u\n2,y,v,w\n")
