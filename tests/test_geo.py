"""GEO's files: what is read is what was written, in all its odd forms, and what cannot be read is said in one line."""

import gzip
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_files import matrix_text, platform_text, put, quoted, write_cohort
from proxflow import read_platform, read_series_matrix
from proxflow.data.characteristics import parse_characteristics
from proxflow.data.scales import scale_of

anndata = pytest.importorskip("anndata")

SAMPLES, PROBES = ["GSM1", "GSM2", "GSM3"], ["1_at", "2_at"]
VALUES = [[7.5, 8.25, 6.0], [3.0, 2.5, 4.125]]
NAME = "GSE26639_series_matrix.txt"
TEXT = matrix_text(VALUES, SAMPLES, PROBES, [["ER: pos", "ER: neg", "ER: pos"]])


def failure(call, *arguments, **options):
    """Return the one line that the call fails with."""
    with pytest.raises(ValueError, match=r".") as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


# ---------------------------------------------------------------------- what is read

HEADLESS = TEXT[TEXT.index("!series_matrix_table_begin") :]


@pytest.mark.parametrize("name", [NAME, NAME + ".gz"])
@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT + "\n\n",
        TEXT.rstrip("\n"),
        TEXT.replace("7.5", " 7.5 ").replace("8.25", "8.25e0").replace("6.0", '"6"'),
        TEXT.replace('"1_at"', "1_at").replace('"ID_REF"\t"GSM1"', "ID_REF\tGSM1"),
        TEXT.replace("tumour 1, replicate", 'the 5" end'),
        TEXT.replace('"A series, with ""quotes"""', '"A "series" of \'quotes"'),
        TEXT.replace("A series", "A series\r\nof two lines\n!and this"),
        TEXT.replace("\n!Sample_geo", '\n!Sample_note\t"two\nlines\r"\t"and "three"\t"é"\n!Sample_geo'),
        TEXT.replace("!Sample_title", '!Series_sample_id\t"' + "GSM1 " * 40_000 + '"\n!Sample_title'),
        HEADLESS,
    ],
)
def test_round_trip(tmp_path, name, text):
    data = read_series_matrix(put(tmp_path, name, text))
    np.testing.assert_array_equal(data.X, np.transpose(VALUES).astype(np.float32))
    assert data.X.dtype == np.float32
    assert data.obs_names.tolist() == SAMPLES
    assert data.var_names.tolist() == PROBES
    assert data.uns["geo"]["file"] == name
    if text is not HEADLESS:
        assert data.obs["ER"].tolist() == ["pos", "neg", "pos"]
        assert data.uns["geo"]["accession"] == "GSE1"
        assert data.uns["geo"]["series"]["title"].startswith("A ")
        assert data.obs["platform_id"].tolist() == ["GPL570"] * 3
        assert data.obs["title"].iloc[0] == "tumour 0, replicate"


def test_metadata_with_line_ends_and_quotes(tmp_path):
    text = TEXT.replace("\n!Sample_geo", '\n!Sample_note\t"two\nlines\r"\t"and "three"\t"x"\n!Sample_geo')
    text = text.replace("A series", "A series\r\nof two lines\n!and this")
    data = read_series_matrix(put(tmp_path, NAME, text))
    assert data.obs["note"].tolist() == ["two lines", 'and three"', "x"]
    assert data.uns["geo"]["series"]["title"] == 'A series of two lines !and this, with "quotes"'


def test_text_that_is_not_utf8(tmp_path):
    file = put(tmp_path, NAME, TEXT.replace("tumour 0", "größe 0").encode("latin-1"))
    assert read_series_matrix(file).obs["title"].iloc[0] == "größe 0, replicate"


def test_a_gzip_without_the_suffix_and_a_suffix_without_gzip(tmp_path):
    plain, packed = tmp_path / f"{NAME}.gz", tmp_path / NAME
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert (read_series_matrix(plain).X == read_series_matrix(packed).X).all()


def test_double_precision(tmp_path):
    file = put(tmp_path, NAME, TEXT.replace("7.5", "7.123456789012345"))
    assert read_series_matrix(file, dtype="float64").X[0, 0] == 7.123456789012345
    assert read_series_matrix(file).X[0, 0] == np.float32(7.123456789012345)
    assert "float16" in failure(read_series_matrix, file, dtype="float16")


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.floats(0, 16, width=32), min_size=width, max_size=width), min_size=1, max_size=6
        )
    )
)
def test_round_trip_of_any_numbers(tmp_path_factory, values):
    samples, probes = [f"GSM{i}" for i in range(len(values[0]))], [f"{i}_at" for i in range(len(values))]
    text = matrix_text([[repr(v) for v in row] for row in values], samples, probes)
    data = read_series_matrix(put(tmp_path_factory.mktemp("geo"), NAME, text), log2=False)
    np.testing.assert_array_equal(data.X, np.transpose(values).astype(np.float32))


def test_every_row_about_samples_is_a_column_and_series_are_kept(tmp_path):
    rows = [("data_processing", ["a"] * 3), ("data_processing", ["b"] * 3), ("description", ["", "", "x"])]
    series = [("contributor", "Ann,,Lee"), ("contributor", "Bo,,Lu"), ("summary", "One; two")]
    characteristics = [["ER: pos", "age: 3", "ER: neg"], ["age: 1", "", "x"]]
    text = matrix_text(VALUES, SAMPLES, PROBES, characteristics, rows, series=series)
    data = read_series_matrix(put(tmp_path, NAME, text))
    assert data.obs["data_processing"].tolist() == ["a"] * 3
    assert data.obs["data_processing.1"].tolist() == ["b"] * 3
    assert data.obs["description"].tolist() == ["", "", "x"]
    assert data.uns["geo"]["series"]["contributor"] == ["Ann,,Lee", "Bo,,Lu"]
    assert data.uns["geo"]["series"]["summary"] == "One; two"
    raw = data.uns["geo"]["characteristics"]
    assert [raw[name].tolist() for name in ("characteristics_ch1", "characteristics_ch1.1")] == characteristics
    assert data.obs["ER"].fillna("-").tolist() == ["pos", "-", "neg"]
    assert data.obs["age"].fillna("-").tolist() == ["1", "3", "-"]
    assert data.obs["characteristics_ch1"].fillna("-").tolist() == ["-", "-", "x"]


def test_metadata_are_matched_by_accession(tmp_path):
    text = TEXT.replace(f"!Sample_geo_accession\t{quoted(SAMPLES)}", f"!Sample_geo_accession\t{quoted(SAMPLES[::-1])}")
    data = read_series_matrix(put(tmp_path, NAME, text))
    assert data.obs["title"].tolist() == [f"tumour {i}, replicate" for i in (2, 1, 0)]
    assert data.obs["geo_accession"].tolist() == SAMPLES


def test_it_can_be_saved_as_h5ad(tmp_path):
    odd = [["ER/PR: a", "b", "ER: c: d"], ["age:1", "age:", "age: NA"]]
    with pytest.warns(UserWarning, match="NaN"):
        data = read_series_matrix(
            put(tmp_path, NAME, matrix_text([["", 2, 3], [4, 5, 6]], SAMPLES, PROBES, odd, [("label", ["x"] * 3)]))
        )
    data.write_h5ad(tmp_path / "a.h5ad")
    back = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert back.obs["ER_PR"].iloc[0] == "a"
    assert back.uns["geo"]["log2"]["applied"] == data.uns["geo"]["log2"]["applied"]
    assert back.uns["geo"]["characteristics"]["characteristics_ch1"].tolist() == odd[0]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([["a: 1", "b: 2"], ["b: 3", ""]], {"a": ["1", None], "b": ["3", "2"]}),
        ([["drug: x", "drug: x"], ["drug: y", "dose: 2"]], {"drug": ["x; y", "x"], "dose": [None, "2"]}),
        ([["ER Status: P", "er  status: N"]], {"ER Status": ["P", "N"]}),
        ([["er:P", "note: see http://a.b/c: d"]], {"er": ["P", None], "note": [None, "see http://a.b/c: d"]}),
        ([["http://a.b", "12:30"]], {"characteristics_ch1": ["http://a.b", "12:30"]}),
        ([["tumour", "tumour"], ["left", ""]], {"characteristics_ch1": ["tumour; left", "tumour"]}),
        ([["er: NA", "er: "], ["age: n/a", "age:"]], {"er": [None, None], "age": [None, None]}),
        ([["drug: none", "drug: x"]], {"drug": ["none", "x"]}),
        ([["title: x", "title: y"]], {"title:ch1": ["x", "y"]}),
        ([["er/pr: 1", "er/pr: 2"]], {"er_pr": ["1", "2"]}),
        ([["", ""]], {}),
    ],
)
def test_characteristics(rows, found):
    parsed = parse_characteristics([("characteristics_ch1", cells) for cells in rows], 2, ["title"])
    assert {key: [None if v != v else v for v in values] for key, values in parsed.items()} == found


def test_two_channels_are_kept_apart():
    rows = [("characteristics_ch1", ["cell: a"]), ("characteristics_ch2", ["cell: b"])]
    assert parse_characteristics(rows, 1) == {"cell": ["a"], "cell:ch2": ["b"]}


# ---------------------------------------------------------------------- log2, and what is missing

LINEAR = [[150.0, 2048.0, 512.0], [64.0, 0.0, -3.0]]


def test_log2_as_geo2r_decides(tmp_path):
    logged = read_series_matrix(put(tmp_path, NAME, TEXT))
    decision = logged.uns["geo"]["log2"]
    assert not decision["applied"]
    assert (decision["minimum"], decision["maximum"], decision["not_positive"]) == (2.5, 8.25, 0)
    text = matrix_text([[150, 2048.5, 512], [64, 32, 16]], SAMPLES, PROBES)
    linear = read_series_matrix(put(tmp_path, NAME, text))
    assert linear.uns["geo"]["log2"]["applied"]
    np.testing.assert_allclose(linear.X[:, 1], [6, 5, 4])
    assert linear.uns["geo"]["log2"]["maximum"] == 2048.5
    kept = read_series_matrix(tmp_path / NAME, log2=False)
    assert kept.X.max() == 2048.5
    assert not kept.uns["geo"]["log2"]["applied"]
    assert kept.uns["geo"]["log2"]["decided_by"] == "log2=False"
    forced = read_series_matrix(put(tmp_path, NAME, TEXT), log2=True)
    np.testing.assert_allclose(forced.X, np.log2(np.transpose(VALUES)), rtol=1e-6)
    assert "'auto', True or False" in failure(read_series_matrix, tmp_path / NAME, log2="yes")


@pytest.mark.parametrize(
    ("values", "linear"),
    [
        ([1.0] * 98 + [101.0] * 2, True),  # q99 above 100
        ([1.0] * 98 + [100.0] * 2, True),  # range above 50, q25 positive
        ([0.0] * 98 + [100.0] * 2, False),
        ([1.0] * 98 + [51.0] * 2, False),  # a range of 50 is not above 50
        ([1.0] * 98 + [51.1] * 2, True),
        ([-30.0] * 50 + [30.0] * 50, False),
        ([np.nan] * 50 + [7.0] * 50, False),
    ],
)
def test_the_rule_of_geo2r(values, linear):
    values = np.array(values)
    assert scale_of(values).linear is linear
    minimum, quartile, top, maximum = np.nanquantile(values, [0, 0.25, 0.99, 1])
    assert linear == (top > 100 or (maximum - minimum > 50 and quartile > 0))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 5, 90], "counts"),
        ([0, 1, 5, 20], "logged"),  # absent and present, or grades
        ([12, 40, 700, 9000], "linear"),  # intensities without decimals: no zero among them
        ([0, 1.5, 5, 900], "linear"),
        ([-1, 0, 5, 90], "logged"),
    ],
)
def test_counts_are_told_from_intensities(values, kind):
    assert scale_of(np.array(values, dtype=float)).kind == kind


@given(st.lists(st.floats(-1e3, 1e5, width=32), min_size=1, max_size=30))
def test_quantiles_are_numpy_s(values):
    values = np.array(values)
    scale = scale_of(values)
    ours = [scale.minimum, scale.lower_quartile, scale.median, scale.quantile_99, scale.maximum]
    np.testing.assert_allclose(ours, np.quantile(values, [0, 0.25, 0.5, 0.99, 1]), rtol=1e-9, atol=1e-9)


def test_values_that_have_no_logarithm_become_nan_and_are_said(tmp_path):
    file = put(tmp_path, NAME, matrix_text(LINEAR, SAMPLES, PROBES))
    with pytest.warns(UserWarning, match=r"2 of 6 values are NaN \(2 not positive.* in 1 of 2 probes, such as '2_at'"):
        data = read_series_matrix(file)
    assert np.isnan(data.X).tolist() == [[False, False], [False, True], [False, True]]
    assert data.uns["geo"]["log2"]["not_positive"] == 2
    assert data.var["n_missing"].tolist() == [0, 2]


def test_missing_cells_are_kept_counted_and_said(tmp_path):
    words = ["", '""', "null", "NULL", "NA", "n/a", "NaN", "Null", "nan", "-Inf"]
    samples = [f"GSM{i}" for i in range(len(words))]
    text = matrix_text([words, range(len(words))], samples, PROBES)
    with pytest.warns(UserWarning, match=r"10 of 20 values are NaN \(10 missing or infinite.*1 of 2 probes.*n_missing"):
        data = read_series_matrix(put(tmp_path, NAME, text))
    assert np.isnan(data.X).sum(axis=0).tolist() == [10, 0]
    assert data.uns["geo"]["missing"] == {"values": 10, "infinite": 1, "probes": 1}
    assert data[:, data.var["n_missing"] == 0].shape == (10, 1)


def test_counts_are_refused_unless_asked_for(tmp_path):
    counts = np.random.default_rng(0).poisson(0.7, (50, 4)) * np.arange(50)[:, None]
    file = put(tmp_path, NAME, matrix_text(counts.tolist(), ["A", "B", "C", "D"], [f"g{i}" for i in range(50)]))
    message = failure(read_series_matrix, file)
    assert "look like counts" in message
    assert "log2=False" in message
    assert (read_series_matrix(file, log2=False).X == counts.T).all()


# ---------------------------------------------------------------------- what cannot be read

HTML = "<!DOCTYPE html>\n<html><body>Not found</body></html>"
EMPTY = matrix_text([], SAMPLES, [], series=[("supplementary_file", "ftp://a/suppl/GSE26639_counts.txt.gz")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        (HTML, ["web page", "/GSE26nnn/GSE26639/matrix/"]),
        ("<?xml version='1.0'?><MINiML>", ["XML"]),
        (b"\xd0\xcf\x11\xe0\0\0\0", ["not text"]),
        ("^DATABASE = GeoMiame\n!Database_name = Gene\n", ["SOFT family file", "/matrix/", "read_platform"]),
        (platform_text(), ["platform's table", "read_platform"]),
        ("a,b\n1,2\n", ["no line !series_matrix_table_begin", "/matrix/"]),
        (TEXT[: TEXT.index("!series_matrix_table_begin")], ["no line !series_matrix_table_begin"]),
        (TEXT[: TEXT.index("!series_matrix_table_end")], ["no line !series_matrix_table_end", "cut off"]),
        (TEXT[: TEXT.index('"2_at"') + 12], ["cut off"]),
        (TEXT + TEXT, ["more than one table"]),
        (EMPTY, ["no rows", "'GSE26639_counts.txt.gz'", "/GSE26639/suppl/"]),
        ("!series_matrix_table_begin\n!series_matrix_table_end\n", ["no rows", "supplementary"]),
        (TEXT.replace('"GSM2"', '"GSM1"'), ["duplicate sample 'GSM1'"]),
        (TEXT.replace("2_at", "1_at"), ["duplicate probe '1_at'"]),
        (TEXT.replace('"2_at"', '""'), ["probe number 2 has no id"]),
        (TEXT.replace("\t2.5", ""), ["line 11 has 3 cells", "heading has 4"]),
        (TEXT.replace("\t2.5", "\t2.5\t1"), ["line 11 has 5 cells"]),
        (TEXT.replace("2.5", "low"), ["line 11, row '2_at', column 'GSM2': 'low' is no number"]),
        (TEXT.replace('"2_at"', '\n\n"2_at"').replace("2.5", "low"), ["line 13, row '2_at'"]),
        (TEXT.replace("2.5", "2,5"), ["'2,5' is no number", "decimals with a point"]),
        (TEXT.replace('"tumour 1, replicate"\t', ""), ["line 4, !Sample_title, has 2 values"]),
        (TEXT.replace(f"accession\t{quoted(SAMPLES)}", f"accession\t{quoted(['GSM1', 'GSM2', 'GSM9'])}"), ["'GSM9'"]),
    ],
)
def test_bad_files(tmp_path, text, words):
    file = put(tmp_path, NAME, text)
    message = failure(read_series_matrix, file)
    for word in (str(file), *words):
        assert word in message


def test_files_that_are_not_there(tmp_path):
    assert failure(read_series_matrix, tmp_path / "GSE781_series_matrix.txt.gz").endswith(
        "no such file. Nothing is downloaded here: the series has it at "
        "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE781/matrix/"
    )
    assert "geo/series/GSEnnn/GSExxx/matrix/" in failure(read_series_matrix, "matrix.txt")
    assert "folder" in failure(read_series_matrix, tmp_path)


@pytest.mark.parametrize("cut", [12, 200, -4])
def test_truncated_gzip(tmp_path, cut):
    file = put(tmp_path, NAME + ".gz", TEXT)
    file.write_bytes(file.read_bytes()[:cut])
    assert "not a whole gzip file" in failure(read_series_matrix, file)


def test_the_line_of_a_bad_cell_far_down(tmp_path):
    rows = [[str(i % 9), "1.5"] for i in range(5000)]
    rows[4321][1] = "x"
    text = matrix_text(rows, SAMPLES[:2], [f"{i}_at" for i in range(5000)])
    line = text[: text.index("\tx\n")].count("\n") + 1
    assert f"line {line}, row '4321_at', column 'GSM2'" in failure(read_series_matrix, put(tmp_path, NAME, text))


@pytest.mark.parametrize("cell", ['"2.5', '2.5"', '2"5', '"""', "1_000", "0x1", "<2.5", "2.5;"])
def test_cells_that_are_nearly_numbers(tmp_path, cell):
    message = failure(read_series_matrix, put(tmp_path, NAME, TEXT.replace("2.5", cell)))
    assert "line 11" in message


def test_damaged_files_never_say_anything_but_a_value_error(tmp_path):
    chance, whole, messages = np.random.default_rng(0), TEXT.encode(), []
    for name in (NAME, NAME + ".gz"):
        for _ in range(150):
            content = bytearray(gzip.compress(whole, mtime=0) if name.endswith(".gz") else whole)
            for place in chance.integers(len(content), size=2):
                content[place] = chance.integers(256)
            (tmp_path / name).write_bytes(content)
            try:
                with warnings.catch_warnings(action="ignore"):
                    read_series_matrix(tmp_path / name)
            except ValueError as error:
                messages.append(str(error))
    assert len(messages) > 100
    assert [m for m in messages if str(tmp_path) not in m or "\n" in m] == []


def test_without_anndata_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(ImportError, match=r"pip install 'proxflow\[bio\]'"):
        read_series_matrix(put(tmp_path, NAME, TEXT))


def test_a_realistic_file(tmp_path):
    data = read_series_matrix(write_cohort(tmp_path, "GSE26639", linear=True))
    assert data.shape == (20, 120)
    assert data.uns["geo"]["log2"]["applied"]
    assert set(data.obs["er status"]) == {"positive", "negative"}


# ---------------------------------------------------------------------- platforms

ANNOT = """^Annotation
!Annotation_platform = GPL570
#ID = probe
!platform_table_begin
ID\tGene title\tGene symbol
1_at\ta\tESR1
2_at\tb\tDDR1///MIR4640
3_at\tc\t
!platform_table_end
"""
SOFT = (
    "^DATABASE = GeoMiame\n^SERIES = GSE1\n!Series_title = x\n^PLATFORM = GPL570\n!Platform_title = y\n#ID = z\n"
    + ANNOT[ANNOT.index("!platform_table_begin") :]
    + "^SAMPLE = GSM1\n!sample_table_begin\nID_REF\tVALUE\n1_at\t3\n!sample_table_end\n"
)
GENES = {"1_at": "ESR1", "2_at": "DDR1///MIR4640", "3_at": None}


def as_dict(mapping):
    return {probe: None if gene != gene else gene for probe, gene in mapping.items()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GPL570.annot.gz", ANNOT),
        ("GSE1_family.soft.gz", SOFT),
        ("GSE1_family.soft", SOFT.replace("!Platform_title = y", "!Platform_title = y\nthat goes\ton")),
        ("GPL570.txt", "ID\tGene Symbol\n1_at\tESR1\n2_at\tDDR1///MIR4640\n3_at\t---\n"),
        ("GPL570.txt", '\ufeff#x\r\n"ID"\t"Gene Symbol"\r\n"1_at"\t"ESR1"\r\n2_at\tDDR1///MIR4640\r\n3_at\r\n\r\n'),
        ("GPL570.txt", 'ID\tTitle\tGene symbol\n1_at\ta 5" "end\tESR1\n2_at\t"\tDDR1///MIR4640\n3_at\t\tNA\n'),
    ],
)
def test_platforms(tmp_path, name, text):
    mapping = read_platform(put(tmp_path, name, text))
    assert as_dict(mapping) == GENES
    assert mapping.name in ("Gene Symbol", "Gene symbol")


def test_platform_frames_and_other_columns(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"Probe": [7892501, 7892502], "SYMBOL": ["ESR1", None]})
    assert as_dict(read_platform(frame, id="Probe", column="symbol")) == {"7892501": "ESR1", "7892502": None}
    titles = read_platform(put(tmp_path, "a.annot", ANNOT), column="Gene title")
    assert titles.tolist() == ["a", "b", "c"]
    twice = put(tmp_path, "b.txt", "ID\tGene Symbol\n1_at\tA\n1_at\tA\n")
    assert read_platform(twice).to_dict() == {"1_at": "A"}
    with pytest.raises(TypeError, match="path or a pandas DataFrame"):
        read_platform({"1_at": "A"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID\tGENE_SYMBOL\n1\tA\n", ["no column 'Gene Symbol'", "'ID', 'GENE_SYMBOL'", "column="]),
        ("SPOT\tGene Symbol\n1\tA\n", ["no column 'ID'"]),
        ("ID\tgene symbol\tGene symbol\n1\tA\tB\n", ["no column 'Gene Symbol'"]),
        ("ID\tGene Symbol\n1\tA\tB\n", ["line 2 has 3 cells", "heading has 2"]),
        ("ID\tGene Symbol\n1\tA\n1\tB\n", ["probe '1' has two genes, 'A', 'B'"]),
        ("ID\tGene Symbol\n", ["no rows"]),
        ("#ID = x\n", ["no table with a heading"]),
        ("ID,Gene Symbol\n1,A\n", ["no table with a heading", "tabs"]),
        (ANNOT.replace("!platform_table_end\n", ""), ["cut off"]),
        (SOFT.replace("^SAMPLE", SOFT[SOFT.index("^PLATFORM") : SOFT.index("^SAMPLE")] + "^SAMPLE"), ["several platf"]),
        (TEXT, ["a series matrix", "read_series_matrix"]),
        (HTML, ["web page"]),
        ("", ["empty"]),
    ],
)
def test_bad_platforms(tmp_path, text, words):
    file = put(tmp_path, "GPL570.txt", text)
    message = failure(read_platform, file)
    for word in (str(file), *words):
        assert word in message


def test_a_platform_that_is_not_there(tmp_path):
    assert "acc=GPLxxx" in failure(read_platform, tmp_path / "GPL570.txt")
