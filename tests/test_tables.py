"""Sample tables: what comes in is exactly what the file says, or one line says what is wrong and where."""

import gzip
import io
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from proxflow.data.tables import Table, align_columns, read_table, write_table

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
NPZ_MAGIC = b"PK\x03\x04"
TWO_BY_TWO = [[1.5, 2.0], [3.0, 4.0]]


def put(folder, name, content):
    file = folder / name
    content = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return file


def failure(file, **options):
    """Return the one line that reading the file fails with."""
    with pytest.raises(ValueError, match=r".") as caught:
        read_table(file, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "allow_pickle" not in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", "u,v\n1.5,2\n3,4\n", ("u", "v")),
        ("a.CSV", "u,v\n1.5,2\n3,4\n", ("u", "v")),
        ("a.csv.gz", "u,v\n1.5,2\n3,4\n", ("u", "v")),
        ("a.csv", "1.5,2\n3,4", None),
        ("a.csv", "\ufeffu,v\r\n1.5,2\r\n3,4\r\n\r\n  \r\n", ("u", "v")),
        ("a.csv", "\n\nu,v\n\n1.5,2\n3,4\n", ("u", "v")),
        ("a.csv", '"u, ""w""",v\n"1.5",2\n3,4\n', ('u, "w"', "v")),
        ("a.csv", '"two\nlines",v\n1.5,2\n3,4\n', ("two\nlines", "v")),
        ("a.csv", '"u;1;2",v\n1.5,2\n3,4\n', ("u;1;2", "v")),
        ("a.csv", " u , v\n 1.5 , 2 \n3, 4\n", ("u", "v")),
        ("a.csv", 'u, v\n1.5, "2"\n3, "4"\n', ("u", "v")),
        ("a.csv", "u;v\n1.5;2\n3;4\n", ("u", "v")),
        ("a.csv", "1.5;2\n3;4\n", None),
        ("a.csv", "u\tv\n1.5\t2\n3\t4\n", ("u", "v")),
        ("a.csv", "größe,日本\n1.5,2\n3,4\n", ("größe", "日本")),
        ("a.csv", "nan,v\n1.5,2\n3,4\n", ("nan", "v")),
        ("a.csv", "7,v\n1.5,2\n3,4\n", ("7", "v")),
        ("a.csv", "0,1\n1.5,2\n3,4\n", ("0", "1")),  # pandas names columns so
        ("a.csv", ",0,1\n0,1.5,2\n1,3,4\n", ("0", "1")),
        ("a.csv", ",u,v\n0,1.5,2\n1,3,4\n", ("u", "v")),
        ("a.csv", ",u,v\n9,1.5,2\n4,3,4\n", ("u", "v")),
        ("a.csv", ",u,v\nAnn,1.5,2\nAnn,3,4\n", ("u", "v")),
        ("a.csv", "Unnamed: 0,u,v\n0,1.5,2\n1,3,4\n", ("u", "v")),
        ("a.csv", ",Unnamed: 0,u,v\n0,0,1.5,2\n1,1,3,4\n", ("u", "v")),
        ("a.tsv", "u\tv\n1.5\t2\n3\t4\n", ("u", "v")),
        ("a.tsv", "my u\tv, w\n1.5\t2\n3\t4\n", ("my u", "v, w")),
        ("a.tsv.gz", "1.5\t2\n3\t4\n", None),
        ("a.txt", "u v\n1.5 2\n3 4\n", ("u", "v")),
        ("a.txt", "   1.5    2  \n  3.0\t4\n\n", None),
        ("a.txt", '"my u"   v\n1.5 2\n3 4\n', ("my u", "v")),
        ("a.txt", "my u\tv\n1.5\t2\n3\t4\n", ("my u", "v")),
        ("a.txt.gz", "1.500e+00 2.000e+00\n3.000e+00 4.000e+00\n", None),
        ("a.txt", "1.5, 2\n3, 4\n", None),
        ("a.csv", "u,v\n1.5,2\n3,4", ("u", "v")),
    ],
)
def test_text(tmp_path, name, content, columns):
    file = put(tmp_path, name, content)
    table = read_table(file)
    np.testing.assert_array_equal(table.values, TWO_BY_TWO)
    assert table.values.dtype == np.float64
    assert table.columns == columns
    assert table.path == str(file)
    assert table.integer == (False, True)
    assert table.event_shape == (2,)


def test_first_row_that_counts_is_a_sample_among_whole_numbers(tmp_path):
    assert read_table(put(tmp_path, "a.csv", "0,1\n1,1\n0,0\n")).values.tolist() == [[0, 1], [1, 1], [0, 0]]


def test_one_semicolon_in_a_name_is_no_delimiter(tmp_path):
    assert read_table(put(tmp_path, "a.csv", "u;1,v,w\n1,2,3\n4,5,6\n")).columns == ("u;1", "v", "w")


def test_one_column(tmp_path):
    assert read_table(put(tmp_path, "a.csv", "u\n1\n2\n")).columns == ("u",)
    assert read_table(put(tmp_path, "a.csv", "1\n2\n")).values.tolist() == [[1], [2]]


def test_text_columns_beside_the_chosen_ones_do_no_harm(tmp_path):
    file = put(tmp_path, "a.csv", "name,u,empty,v\nAnn,1,,2\nBob,3,,4\n")
    table = read_table(file, columns=["v", "u"])
    assert table.columns == ("v", "u")
    assert table.values.tolist() == [[2, 1], [4, 3]]


def test_columns_by_position_without_names(tmp_path):
    file = put(tmp_path, "a.csv", "1,2,3\n4,5,6\n")
    table = read_table(file, columns=["2", "0"])
    assert table.columns is None
    assert table.values.tolist() == [[3, 1], [6, 4]]
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert read_table(tmp_path / "a.npy", columns=["1"]).values.tolist() == [[1], [4]]
    assert "only 3 columns without names: use 0 to 2" in failure(file, columns=["3"])


def test_booleans(tmp_path):
    table = read_table(put(tmp_path, "a.csv", "u,v\nTrue,false\nFalse,TRUE\n"))
    assert table.values.tolist() == [[1, 0], [0, 1]]


def test_many_decimals_survive(tmp_path):
    file = put(tmp_path, "a.csv", "u\n0.1\n3.141592653589793\n-1e-300\n123456789012\n")
    assert read_table(file).values[:, 0].tolist() == [0.1, 3.141592653589793, -1e-300, 123456789012.0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", ["the file is empty"]),
        ("a.csv.gz", "", ["blank"]),
        ("a.csv", "\n \n\n", ["blank"]),
        ("a.csv", "u,v\n", ["no samples", "header"]),
        ("a.csv", "u,v\n1,2\n", ["1 sample, but at least 2"]),
        ("a.csv", PNG, ["not UTF-8 text", "0x89", ".csv"]),
        ("a.csv", "größe\n1\n2\n".encode("cp1252"), ["not UTF-8 text", "save it as UTF-8"]),
        ("a.csv", b"u\n" + b"1\n" * 9999 + b"\xff\n", ["not UTF-8 text", "0xff"]),
        ("a.csv", "u,v\n1,2\n".encode("utf-16-be"), ["zero bytes"]),
        ("a.csv", "u,v\n1,2\n3,4,5\n", ["line 3 has 3 cells", "line 1 has 2"]),
        ("a.csv", "u,v\n1,2\n3\n4,5\n", ["line 3 has 1 cell,", "line 1 has 2"]),
        ("a.csv", "u,v\n1,2,3\n4,5,6\n", ["line 2 has 3 cells", "line 1 has 2"]),
        ("a.csv", "\n1,2\n\n3\n4,5,6\n", ["line 4 has 1 cell,", "line 2 has 2"]),
        ("a.csv", '"u\nw",v\n1,2\n3\n', ["line 4 has 1 cell,", "line 2 has 2"]),
        ("a.csv", 'u,v\n1,2\n"3,4\n5,6\n', ["line 4 has 1 cell, but line 1 has 2"]),
        ("a.txt", "u v\n1 2\n3 4 5\n", ["line 3 has 3 cells", "white space"]),
        ("a.csv", "u,v,u\n1,2,3\n4,5,6\n", ["more than one column", "'u'"]),
        ("a.csv", "u,,v\n1,2,3\n4,5,6\n", ["column 1 (counted from 0) has no name"]),
        ("a.csv", "u,v,\n1,2,\n3,4,\n", ["column 2 (counted from 0) has no name"]),
        ("a.csv", ",0.5\n1.5,2\n2.5,3\n", ["first column has no name", "row labels"]),
        ("a.csv", ",u\n1,2\n1,3\n", ["first column has no name", "row labels"]),
        ("a.csv", ",u\nTrue,2\nFalse,3\n", ["first column has no name", "row labels"]),
        ("a.csv", "u,v\n1,2\n3,\n", ["NaN in row 1, column 'v'", "Drop or impute"]),
        ("a.csv", "1,2\nnan,3\n", ["NaN in row 1, column 0"]),
        ("a.csv", "1,N/A\n2,3\n", ["NaN in row 0, column 1"]),
        ("a.csv", "nan,2\n1,3\n", ["NaN in row 0, column 0"]),  # not a header: no sample is lost silently
        ("a.csv", "u,v\n1,2\n3,N/A\n", ["NaN in row 1, column 'v'"]),
        ("a.csv", "u,v\n1,2\n3,-inf\n", ["infinity in row 1, column 'v'"]),
        ("a.csv", "u,v\n1,2\n3,1e30\n", ["1e+30", "column 'v'"]),
        ("a.csv", "u,name\n1,Ann\n3,Bob\n", ["column 'name'", "'Ann' in row 0", "--columns", "encode"]),
        ("a.csv", "u,v\n1,2\n3,x4\n", ["column 'v'", "'x4' in row 1"]),
        ("a.csv", "u,v\n1,2\n3,1_000\n", ["'1_000' in row 1"]),
        ("a.csv", "u,v\n1,2\n3,1+2j\n", ["'1+2j' in row 1"]),
        ("a.csv", "1,2\n3,x\n", ["column '1'", "'x' in row 1"]),
        ("a.csv", "u;v\n1,5;2\n2,5;3\n", ["column 'u'", "'1,5' in row 0", "decimals with a point"]),
        ("a.csv", "1,5;2,5\n2,5;3,5\n", ["'2,5' in row 0", "decimals with a point"]),
        (
            "a.csv",
            "5.1,3.5,setosa\n4.9,3,setosa\n",
            ["column 'setosa'", "first row was read as column names"],
        ),
        ("a.csv", "a,b,c,d,e,f,g\n" + "x,x,x,x,x,x,x\n" * 2, ["'a', 'b', 'c', 'd', 'e' and 2 more"]),
        ("a.csv", "<html>\n<p>404</p>\n</html>\n", ["not numbers", "'<p>404</p>'"]),
        ("a.csv", "u\n" + "9" * 400000 + "\n1\n", ["a.csv"]),
        ("a.csv.zip", "u\n1\n2\n", ["suffix must be one of", ".csv.gz", ".parquet"]),
        ("a", "u\n1\n2\n", ["suffix must be one of", ".csv", ".npy"]),
    ],
)
def test_bad_text(tmp_path, name, content, words):
    file = put(tmp_path, name, content)
    message = failure(file)
    for word in (str(file), *words):
        assert word in message


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["w"], ["no column 'w'", "It has 'u', 'v'"]),
        (["0"], ["no column '0'"]),
        ([], ["--columns", "none"]),
        (["u", "u"], ["different columns", "'u', 'u'"]),
    ],
)
def test_bad_choice_of_columns(tmp_path, columns, words):
    message = failure(put(tmp_path, "a.csv", "u,v\n1,2\n3,4\n"), columns=columns)
    for word in words:
        assert word in message


@pytest.mark.parametrize("cut", [5, 15, -10, -1])
def test_truncated_gzip(tmp_path, cut):
    whole = gzip.compress(b"u,v\n" + os.urandom(3000).hex(",", 2).encode())
    file = tmp_path / "a.csv.gz"
    file.write_bytes(whole[:cut])
    assert "not a whole gzip file" in failure(file)


def test_gzip_that_is_not_and_gzip_that_is_not_said(tmp_path):
    (tmp_path / "a.csv.gz").write_text("u,v\n1,2\n")
    assert "not a whole gzip file" in failure(tmp_path / "a.csv.gz")
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"u,v\n1,2\n"))
    assert "not UTF-8 text" in failure(tmp_path / "a.csv")


def saved(saver, *values, **named):
    handle = io.BytesIO()
    saver(handle, *values, **named)
    return handle.getvalue()


def parquet(frame, **options):
    return saved(lambda handle: frame.to_parquet(handle, **options))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", ">f4", ">i2"])
def test_numpy_types(tmp_path, dtype):
    table = read_table(put(tmp_path, "a.npy", saved(np.save, np.array([[1, 2], [3, 4]], dtype))))
    assert table.values.tolist() == [[1, 2], [3, 4]]
    assert table.values.dtype == np.float64
    assert table.columns is None
    assert table.integer == (True, True)


def test_numpy_shapes(tmp_path):
    images = np.arange(24.0).reshape(2, 3, 4)
    table = read_table(put(tmp_path, "a.npy", saved(np.save, images)))
    np.testing.assert_array_equal(table.values, images.reshape(2, 12))
    assert table.event_shape == (3, 4)
    assert read_table(tmp_path / "a.npy", columns=["11", "0"]).event_shape == (2,)
    one = read_table(put(tmp_path, "b.npy", saved(np.save, np.array([True, False]))))
    assert one.values.tolist() == [[1], [0]]
    assert one.event_shape == (1,)
    assert "only 1 columns without names" in failure(tmp_path / "b.npy", columns=["1"])
    fortran = read_table(put(tmp_path, "c.npy", saved(np.save, np.asfortranarray(TWO_BY_TWO))))
    assert fortran.values.tolist() == TWO_BY_TWO


@pytest.mark.parametrize(
    "members",
    [
        {"x": np.array(TWO_BY_TWO)},
        {"x": np.array(TWO_BY_TWO), "labels": np.array([0, 1]), "names": np.array(["u", "v"])},
        {"x": np.array(TWO_BY_TWO), "notes": np.array([{"a": 1}], dtype=object)},
    ],
)
@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_npz_with_one_candidate(tmp_path, members, saver):
    file = put(tmp_path, "a.npz", saved(saver, **members))
    assert read_table(file).values.tolist() == TWO_BY_TWO
    assert read_table(file, key="x").values.tolist() == TWO_BY_TWO


def test_npz_with_several(tmp_path):
    members = {"x": np.array(TWO_BY_TWO), "images": np.ones((4, 2, 2)), "o": np.array([None])}
    file = put(tmp_path, "a.npz", saved(np.savez, **members))
    message = failure(file)
    for word in ("several arrays", "'x' (2, 2)", "'images' (4, 2, 2)", "--key"):
        assert word in message
    assert read_table(file, key="images").event_shape == (2, 2)
    assert "no array 'y'. It has 'x', 'images', 'o'" in failure(file, key="y")
    assert "never unpickled" in failure(file, key="o")
    assert "names an array of an .npz file" in failure(put(tmp_path, "a.csv", "1\n2\n"), key="x")


def zipped(**members):
    handle = io.BytesIO()
    with zipfile.ZipFile(handle, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return handle.getvalue()


NPY = saved(np.save, np.array(TWO_BY_TWO))
NPZ = saved(np.savez, x=np.array(TWO_BY_TWO))
PARQUET = parquet(pd.DataFrame(TWO_BY_TWO, columns=["u", "v"]))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"", ["empty"]),
        ("a.npy", PNG, ["not a whole NPY file", "another format"]),
        ("a.npy", NPY[:-8], ["not a whole NPY file"]),
        ("a.npy", NPY[:20], ["not a whole NPY file"]),
        ("a.npy", NPY[:4], ["not a whole NPY file"]),
        ("a.npy", NPZ, ["other of NPY and NPZ"]),
        ("a.npz", NPY, ["other of NPY and NPZ"]),
        ("a.npz", PNG, ["not a whole NPZ file", "another format"]),
        ("a.npz", NPZ[:-8], ["not a whole NPZ file"]),
        ("a.npz", NPZ_MAGIC, ["not a whole NPZ file"]),
        ("a.npz", zipped(), ["no array"]),
        ("a.npz", zipped(readme=b"hello"), ["no array of numbers among 'readme'"]),
        ("a.npy", saved(np.save, np.array([{}, []], dtype=object)), ["Python objects", "never unpickled"]),
        ("a.npy", saved(np.save, np.array([["1", "2"], ["3", "4"]])), ["<U1", "not real numbers"]),
        ("a.npy", saved(np.save, np.array([[1j], [2j]])), ["complex128", "not real numbers"]),
        ("a.npy", saved(np.save, np.array(["2020-01-01"] * 2, "M8[D]")), ["datetime64", "not real numbers"]),
        ("a.npy", saved(np.save, np.zeros(2, [("u", "f8"), ("v", "f8")])), ["not real numbers"]),
        ("a.npy", saved(np.save, np.array(1.0)), ["got ()"]),
        ("a.npy", saved(np.save, np.zeros((0, 3))), ["no samples"]),
        ("a.npy", saved(np.save, np.zeros((0, 3, 2))), ["no samples"]),
        ("a.npy", saved(np.save, np.zeros((3, 0))), ["no features"]),
        ("a.npy", saved(np.save, np.array([[1.0, np.nan]] * 2)), ["NaN in row 0, column 1"]),
        ("a.parquet", PNG, ["not a whole Parquet file"]),
        ("a.parquet", PARQUET[:-8], ["not a whole Parquet file"]),
        ("a.pq", PARQUET[: len(PARQUET) // 2], ["not a whole Parquet file"]),
        ("a.parquet", b"PAR1" + b"\0" * 200 + b"PAR1", ["not a whole Parquet file"]),
        ("a.parquet", parquet(pd.DataFrame({"u": [1.0, None], "v": [1, 2]})), ["NaN in row 1, column 'u'"]),
        ("a.parquet", parquet(pd.DataFrame({"u": [1, 2], "s": ["a", "b"]})), ["column 's'", "'a' in row 0"]),
        (
            "a.parquet",
            parquet(pd.DataFrame({"d": pd.to_datetime(["2020-01-01"] * 2)})),
            ["column 'd'", "2020"],
        ),
        ("a.parquet", parquet(pd.DataFrame({"d": pd.to_timedelta([1, 2])})), ["column 'd'"]),
        ("a.parquet", parquet(pd.DataFrame({"x": [[1.0], [2.0]]})), ["column 'x'"]),
        ("a.parquet", parquet(pd.DataFrame({"x": [b"1", b"2"]})), ["column 'x'"]),
        (
            "a.parquet",
            parquet(pd.DataFrame({"u": pd.array([1, None], "Int64")})),
            ["NaN in row 1, column 'u'"],
        ),
    ],
)
def test_bad_binary(tmp_path, name, content, words):
    file = put(tmp_path, name, content)
    message = failure(file)
    for word in (str(file), *words):
        assert word in message


def test_damaged_binaries_never_say_anything_but_a_value_error(tmp_path):
    chance = np.random.default_rng(0)
    messages = []
    for name, whole in (("a.npy", NPY), ("a.npz", NPZ), ("a.parquet", PARQUET)):
        for _ in range(60):
            damaged = bytearray(whole)
            for place in chance.integers(len(whole), size=3):
                damaged[place] = chance.integers(256)
            file = put(tmp_path, name, bytes(damaged))
            try:
                read_table(file)
            except ValueError as error:
                messages.append(str(error).replace(str(file), "FILE"))
    assert len(messages) > 20
    assert [message for message in messages if "FILE" not in message or "\n" in message] == []


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    for name, saver in (("a.npy", np.save), ("a.npz", np.savez)):
        content = saved(saver, np.array([Bomb()], dtype=object))
        failure(put(tmp_path, name, content))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("index", [None, pd.Index([7, 9], name="cell"), pd.Index(["a", "b"])])
def test_parquet(tmp_path, index):
    frame = pd.DataFrame(
        {
            "u": pd.array([1, 2], "Int64"),
            "v": np.array([0.5, 1.5], np.float32),
            "flag": [True, False],
            "kind": pd.Categorical([3, 4]),
        },
    )
    frame = frame if index is None else frame.set_index(index)
    table = read_table(put(tmp_path, "a.parquet", parquet(frame)))
    assert table.columns == ("u", "v", "flag", "kind")
    assert table.values.tolist() == [[1, 0.5, 1, 3], [2, 1.5, 0, 4]]
    assert table.integer == (True, False, True, True)
    assert read_table(tmp_path / "a.parquet", columns=["v"]).values.tolist() == [[0.5], [1.5]]


def test_parquet_with_a_repeated_name(tmp_path):
    columns = pyarrow.array([1.0, 2.0])
    pq.write_table(pyarrow.Table.from_arrays([columns, columns], ["u", "u"]), tmp_path / "a.parquet")
    assert "a.parquet: more than one column is called 'u'" in failure(tmp_path / "a.parquet")


def test_places_that_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure("none.csv") == f"none.csv: no such file from {tmp_path}. Check the path."
    assert "no such file." in failure(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv: is a folder" in failure("folder.csv")
    os.mkfifo("pipe.csv")
    assert "pipe.csv: is a pipe" in failure("pipe.csv")
    put(tmp_path, "a.csv", "1\n2\n")
    assert "Not a directory" in failure("a.csv/b.csv")
    assert "File name too long" in failure("a" * 300 + ".csv")


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.parquet"])
def test_permission_denied(tmp_path, monkeypatch, name):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    write_table(tmp_path / name, TWO_BY_TWO)
    monkeypatch.setattr("builtins.open", refuse)  # root may read anything
    assert failure(tmp_path / name) == f"cannot read {tmp_path / name}: Permission denied."


def test_memory_that_runs_out(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1000), }"
    content = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    message = failure(put(tmp_path, "a.npy", content))
    assert "does not fit into memory" in message or "not a whole NPY file" in message


FLOAT32 = {"width": 32, "min_value": -(2.0**59), "max_value": 2.0**59}
CLOUDS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.floats(**FLOAT32))
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".npy", ".npz", ".parquet", ".pq"])
@settings(max_examples=40, deadline=None)
@given(cloud=CLOUDS, double=st.booleans())
def test_round_trip_of_values(suffix, cloud, double):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a{suffix}"
        write_table(file, cloud.astype(np.float64) if double else cloud)
        table = read_table(file, minimum=1)
        assert os.listdir(folder) == [file.name]
    np.testing.assert_array_equal(table.values.astype(np.float32), cloud)
    width = cloud.shape[1]
    named = suffix not in (".npy", ".npz")
    assert table.columns == (tuple(f"x{i}" for i in range(width)) if named else None)
    assert table.integer == tuple(bool(whole) for whole in (cloud == np.rint(cloud)).all(axis=0))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=4))
def test_round_trip_of_names(suffix, names):
    # A number before each name keeps them distinct, and a letter tells them from a row of numbers.
    names = [f"{index}{name}z" for index, name in enumerate(names)]
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / f"a{suffix}", np.ones((2, len(names))), names)
        assert read_table(Path(folder) / f"a{suffix}").columns == tuple(names)


@pytest.mark.parametrize("name", ["A.CSV", "A.TSV.GZ", "A.NPY", "A.NPZ", "A.PARQUET"])
@pytest.mark.parametrize("dtype", [bool, "float16", "longdouble", ">f4", ">i2", "uint64"])
def test_round_trip_of_types_under_capital_suffixes(tmp_path, name, dtype):
    write_table(tmp_path / name, np.array([[0, 1], [1, 0]], dtype))
    assert read_table(tmp_path / name).values.tolist() == [[0, 1], [1, 0]]
    assert os.listdir(tmp_path) == [name]


def test_whole_numbers_and_doubles_are_written_as_promised(tmp_path):
    write_table(tmp_path / "a.csv", [[2**60, 1]], ["big", "one"])
    assert (tmp_path / "a.csv").read_text() == "big,one\n1152921504606846976,1\n"
    doubles = np.random.default_rng(0).normal(size=(50, 1))
    write_table(tmp_path / "b.csv", doubles)
    np.testing.assert_allclose(read_table(tmp_path / "b.csv").values, doubles, rtol=6e-9)
    for name in ("b.npy", "b.npz", "b.parquet"):
        write_table(tmp_path / name, doubles)
        np.testing.assert_array_equal(read_table(tmp_path / name).values, doubles)
    assert np.load(tmp_path / "b.npz").files == ["samples"]


@pytest.mark.parametrize(
    ("name", "values", "columns", "words"),
    [
        ("a.xlsx", TWO_BY_TWO, None, "suffix must be one of"),
        ("a.txt", TWO_BY_TWO, None, "suffix must be one of"),
        ("a.csv", TWO_BY_TWO, ["u"], "1 column names for 2 columns"),
        ("a.csv", TWO_BY_TWO, ["u", "u"], "more than one column is called 'u'"),
        ("a.csv", TWO_BY_TWO, ["u", ""], "no name"),
        ("a.csv", [1.0, 2.0], None, "of shape \\(2,\\)"),
        ("a.npy", [["a"]], None, "expected numbers"),
        ("none/a.csv", TWO_BY_TWO, None, "cannot write .*: No such file or directory"),
        ("none/a.parquet", TWO_BY_TWO, None, "cannot write .*: No such file or directory"),
    ],
)
def test_bad_writes(tmp_path, name, values, columns, words):
    with pytest.raises(ValueError, match=words):
        write_table(tmp_path / name, values, columns)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".npy", ".npz", ".parquet"])
def test_full_disk_keeps_the_old_table(tmp_path, monkeypatch, suffix):
    def refuse(_number):
        raise OSError(28, "No space left on device")

    file = tmp_path / f"a{suffix}"
    write_table(file, TWO_BY_TWO)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ValueError, match=r"^cannot write .*: No space left on device\.$"):
        write_table(file, np.ones((3, 2)))
    assert read_table(file).values.tolist() == TWO_BY_TWO
    assert os.listdir(tmp_path) == [file.name]


def table(columns, values, path="a.csv"):
    array = np.array(values, dtype=float)
    width = array.shape[1]
    return Table(array, columns, path, tuple(i == 0 for i in range(width)), (width,))


def test_align_columns_reorders():
    ours = table(("c", "a", "b"), [[3, 1, 2]])
    aligned = align_columns(ours, table(("a", "b", "c"), [[0, 0, 0]]))
    assert aligned.values.tolist() == [[1, 2, 3]]
    assert aligned.columns == ("a", "b", "c")
    assert aligned.integer == (False, False, True)
    assert ours.values.tolist() == [[3, 1, 2]]


@pytest.mark.parametrize("columns", [(None, None), (None, ("a", "b")), (("a", "b"), None), (("a", "b"),) * 2])
def test_align_columns_has_nothing_to_do(columns):
    ours = table(columns[0], [[1, 2]])
    assert align_columns(ours, table(columns[1], [[0, 0]])) is ours


def test_align_columns_names_the_differences():
    ours = table(("a", "x"), [[1, 2]], "ours.csv")
    theirs = table(tuple("abcdefg"), [[0] * 7], "theirs.csv")
    with pytest.raises(ValueError, match=r"--columns\.$") as caught:
        align_columns(ours, theirs)
    assert "ours.csv lacks 'b', 'c', 'd', 'e', 'f' and 1 more" in str(caught.value)
    assert "theirs.csv lacks 'x'" in str(caught.value)
    with pytest.raises(ValueError, match=r"2 features and theirs\.csv has 7"):
        align_columns(table(None, [[1, 2]], "ours.csv"), theirs)
