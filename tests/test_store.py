"""Run folders and atomic writes: whole files or none, and one clear line when the system refuses."""

import errno
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from proxflow.store import RunFolder, atomic_path, default_name, read_json, write_csv, write_json, write_text


@pytest.fixture
def small_disk():
    """Let no file grow beyond 64 KB: a real refusal by the system, halfway through a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)


def refuse(number):
    def raiser(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return raiser


def write_half(target, failure):
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        if failure is not None:
            raise failure
        with open("/dev/full", "w") as full:
            full.write("x")


MARK = '{"proxflow": "0.1.0"}'  # what makes a settings.json that of a run


class TestAtomicPath:
    def test_success_leaves_only_the_new_file(self, tmp_path):
        target = tmp_path / "a.csv.gz"
        target.write_text("old")
        with atomic_path(target) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.name.endswith("a.csv.gz")
            assert temporary != target
            temporary.write_text("new")
            assert target.read_text() == "old"
        assert target.read_text() == "new"
        assert os.listdir(tmp_path) == ["a.csv.gz"]

    @pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("existing", [None, "old"])
    def test_failure_leaves_the_old_state(self, tmp_path, failure, existing):
        target = tmp_path / "a.txt"
        if existing:
            target.write_text(existing)
        with pytest.raises(failure):
            write_half(target, failure)
        assert os.listdir(tmp_path) == (["a.txt"] if existing else [])
        assert not existing or target.read_text() == existing

    def test_full_disk_is_one_line_and_keeps_the_old_file(self, tmp_path):
        target = tmp_path / "a.txt"
        target.write_text("old")
        with pytest.raises(ValueError, match=r"^cannot write .*a\.txt: No space left on device\.$"):
            write_half(target, None)
        assert target.read_text() == "old"
        assert os.listdir(tmp_path) == ["a.txt"]

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_late_refusal_keeps_the_old_file(self, tmp_path, monkeypatch, call):
        target = tmp_path / "a.txt"
        target.write_text("old")
        monkeypatch.setattr(os, call, refuse(errno.ENOSPC))
        with pytest.raises(ValueError, match="No space left on device"):
            write_text(target, "new")
        assert target.read_text() == "old"
        assert os.listdir(tmp_path) == ["a.txt"]

    def test_contents_reach_the_disk_before_the_name(self, tmp_path, monkeypatch):
        calls = []
        fsync, replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
        monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
        write_text(tmp_path / "a.txt", "new")
        assert calls == ["fsync", "replace"]

    def test_a_kill_leaves_the_old_file(self, tmp_path):
        target = tmp_path / "a.txt"
        target.write_text("old")
        program = (
            "import sys, time; from proxflow.store import atomic_path\n"
            f"with atomic_path({str(target)!r}) as temporary:\n"
            "    temporary.write_text('half'); print('ready', flush=True); time.sleep(60)\n"
        )
        source = str(Path(__file__).parents[1] / "src")
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source}
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            process.kill()
        assert target.read_text() == "old"

    def test_mode_follows_umask_then_the_old_file(self, tmp_path):
        target = tmp_path / "a.txt"
        old = os.umask(0o022)
        try:
            write_text(target, "one")
        finally:
            os.umask(old)
        assert target.stat().st_mode & 0o777 == 0o644
        target.chmod(0o640)
        write_text(target, "two")
        assert target.stat().st_mode & 0o777 == 0o640

    def test_link_is_written_through(self, tmp_path):
        (tmp_path / "far").mkdir()
        link = tmp_path / "a.txt"
        link.symlink_to(tmp_path / "far" / "b.txt")
        write_text(link, "new")
        assert link.is_symlink()
        assert (tmp_path / "far" / "b.txt").read_text() == "new"

    def test_folder_and_device_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="folder or a device"):
            write_text(tmp_path, "x")
        with pytest.raises(ValueError, match="folder or a device"):
            write_text("/dev/null", "x")

    def test_read_only_file_is_refused(self, tmp_path, monkeypatch):
        target = tmp_path / "a.txt"
        target.write_text("old")
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
        with pytest.raises(ValueError, match="Permission denied"):
            write_text(target, "new")
        assert target.read_text() == "old"

    def test_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"cannot write .*none/a\.txt: No such file or directory\.$"):
            write_text(tmp_path / "none" / "a.txt", "x")


class TestJson:
    def test_round_trip_keeps_order_and_plain_values(self, tmp_path):
        file = tmp_path / "a.json"
        write_json(
            file,
            {
                "z": np.int64(3),
                "a": np.float32(0.5),
                "flag": np.bool_(True),
                "array": np.array([[1.0, np.inf], [np.nan, 2.0]]),
                "nan": float("-inf"),
                "tuple": (1, None, "é"),
                "set": {"b", "a"},
                "path": tmp_path,
                7: np.float64("nan"),
            },
        )
        value = read_json(file)
        assert list(value) == ["z", "a", "flag", "array", "nan", "tuple", "set", "path", "7"]
        assert value == {
            "z": 3,
            "a": 0.5,
            "flag": True,
            "array": [[1.0, None], [None, 2.0]],
            "nan": None,
            "tuple": [1, None, "é"],
            "set": ["a", "b"],
            "path": str(tmp_path),
            "7": None,
        }
        text = file.read_text(encoding="utf-8")
        assert text.startswith('{\n  "z": 3,\n')
        assert "é" in text
        assert text.endswith("}\n")

    def test_jax_arrays_of_any_width(self, tmp_path):
        jax = pytest.importorskip("jax.numpy")
        write_json(tmp_path / "a.json", [jax.float32(0.5), jax.array([1.0, 2.0], dtype=jax.bfloat16)])
        assert read_json(tmp_path / "a.json") == [0.5, [1.0, 2.0]]

    @pytest.mark.parametrize("bad", [object(), 1j, np.array([1j]), np.array([object()]), b"x"])
    def test_what_has_no_json_form_is_named_by_place(self, tmp_path, bad):
        with pytest.raises(ValueError, match=r"^value\['a'\]\[1\] has no JSON form"):
            write_json(tmp_path / "a.json", {"a": [0, bad]})
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "line 1, column 1"),
            (b'{"a": 1,\n "b": }', "line 2, column 7"),
            (b'{"a": NaN}', "NaN is not a JSON number"),
            (b"\xff\xfe{}", "not UTF-8"),
            (b"[" * 100000, "nested"),
        ],
    )
    def test_bad_content_is_one_line_with_the_place(self, tmp_path, content, words):
        file = tmp_path / "a.json"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=words) as caught:
            read_json(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_unreadable_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"cannot read .*a\.json: No such file"):
            read_json(tmp_path / "a.json")
        with pytest.raises(ValueError, match="Is a directory"):
            read_json(tmp_path)

    def test_byte_order_mark(self, tmp_path):
        (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
        assert read_json(tmp_path / "a.json") == [1]


class TestCsv:
    def test_number_formats(self, tmp_path):
        columns = [
            np.array([1, 2**60]),
            np.array([True, False]),
            np.array([0.1, 1 / 3], dtype=np.float32),
            np.array([0.1, 123456789.25]),
            np.array([0.5, np.nan], dtype=np.float16),
        ]
        write_csv(tmp_path / "a.csv", ["i", "b", "f", "d", "h"], columns)
        assert (tmp_path / "a.csv").read_bytes() == (
            b"i,b,f,d,h\n1,1,0.1,0.1,0.5\n1152921504606846976,0,0.33333334,123456789.25,nan\n"
        )

    def test_odd_names_are_quoted(self, tmp_path):
        write_csv(tmp_path / "a.tsv", ["a\tb", 'c"d', "e-f.g_h"], [[1], [2], [3]], "\t")
        assert (tmp_path / "a.tsv").read_text() == '"a\tb"\t"c""d"\te-f.g_h\n1\t2\t3\n'

    def test_gzip(self, tmp_path):
        write_csv(tmp_path / "a.csv.gz", ["a"], [[1, 2]])
        assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == b"a\n1\n2\n"

    def test_more_rows_than_one_chunk(self, tmp_path, monkeypatch):
        monkeypatch.setattr("proxflow.store._ROWS_AT_ONCE", 3)
        write_csv(tmp_path / "a.csv", ["a"], [range(7)])
        assert (tmp_path / "a.csv").read_text().split() == ["a", *"0123456"]

    @pytest.mark.parametrize(
        ("names", "columns"),
        [(["a"], [[1], [2]]), (["a", "b"], [[1], [1, 2]]), (["a"], [[[1]]]), (["a"], [1])],
    )
    def test_shapes_that_do_not_fit(self, tmp_path, names, columns):
        with pytest.raises(ValueError, match="expected one 1-d column"):
            write_csv(tmp_path / "a.csv", names, columns)
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
    def test_disk_that_fills_halfway(self, tmp_path, small_disk, suffix):
        column = np.random.default_rng(0).normal(size=50000)
        with pytest.raises(ValueError, match=r"cannot write .*: File too large"):
            write_csv(tmp_path / f"a{suffix}", ["a"], [column])
        assert os.listdir(tmp_path) == []


class TestRunFolder:
    def test_a_whole_run(self, tmp_path):
        run = RunFolder.create(tmp_path / "deep" / "run")
        assert run.path == tmp_path / "deep" / "run"
        assert read_json(run.settings({"b": 1, "a": np.float64("inf")})) == {"b": 1, "a": None}
        samples = run.samples(np.array([[0.5, 1.0]]), ["u", "v"], as_array=False)
        assert samples.read_text() == "u,v\n0.5,1\n"
        history = run.history({"value": np.array([0.5, 0.25], dtype=np.float32), "slope": [1.0, float("nan")]})
        assert history.read_text() == "step,value,slope\n1,0.5,1\n2,0.25,nan\n"
        figure = run.figure_path("loss.png")
        assert figure == run.path / "figures" / "loss.png"
        assert figure.parent.is_dir()
        assert sorted(os.listdir(run.path)) == ["figures", "history.csv", "samples.csv", "settings.json"]

    def test_samples_without_names_and_as_array(self, tmp_path):
        run = RunFolder.create(tmp_path / "run")
        assert run.samples([[1.0, 2.0]]).read_text().startswith("x0,x1\n")
        images = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
        np.testing.assert_array_equal(np.load(run.samples(images, as_array=True)), images)
        with pytest.raises(ValueError, match=r"got \(2, 2, 2\)"):
            run.samples(images)

    @pytest.mark.parametrize(
        ("history", "words"),
        [
            ({"step": [1]}, "'step' is counted"),
            ({"a": [1, 2], "b": [1]}, "one length"),
            ({"a": 1.0}, "1-d"),
            ({"a": [[1.0]]}, "1-d"),
        ],
    )
    def test_history_that_does_not_fit(self, tmp_path, history, words):
        run = RunFolder.create(tmp_path / "run")
        with pytest.raises(ValueError, match=words):
            run.history(history)
        assert os.listdir(run.path) == []

    def test_history_of_no_steps(self, tmp_path):
        run = RunFolder.create(tmp_path / "run")
        assert run.history({}).read_text() == "step\n"
        assert run.history({"a": []}).read_text() == "step,a\n"

    @pytest.mark.parametrize("name", ["", ".", "..", "../a.png", "a/b.png", "/tmp/a.png"])
    def test_figure_names_stay_inside(self, tmp_path, name):
        run = RunFolder.create(tmp_path / "run")
        with pytest.raises(ValueError, match="plain file name"):
            run.figure_path(name)

    def test_empty_folder_needs_no_overwrite(self, tmp_path):
        (tmp_path / ".proxflow-00000000-settings.json").write_text("left by a kill")
        assert RunFolder.create(tmp_path).path == tmp_path

    def test_occupied_folder_is_refused(self, tmp_path):
        (tmp_path / "settings.json").write_text(MARK)
        (tmp_path / "history.csv").write_text("step\n")
        with pytest.raises(ValueError, match=r"not empty: choose another --out or pass --overwrite\.$"):
            RunFolder.create(tmp_path)
        assert sorted(os.listdir(tmp_path)) == ["history.csv", "settings.json"]

    def test_a_run_that_made_nothing_leaves_its_folder_free(self, tmp_path):
        (tmp_path / "settings.json").write_text(MARK)
        assert RunFolder.create(tmp_path).path == tmp_path
        (tmp_path / "settings.json").write_text('{"mine": 1}')
        with pytest.raises(ValueError, match="not empty"):
            RunFolder.create(tmp_path)

    def test_overwrite_removes_what_a_run_wrote_and_nothing_else(self, tmp_path):
        old = ["settings.json", "samples.csv", "samples.npy", "history.csv", "report.html", "figures/a.PNG"]
        old += [".proxflow-0123abcd-samples.csv"]
        foreign = ["thesis.tex", "my samples.csv", "figures/notes.txt", "figures/sub/b.png", "samples.d/c"]
        for name in old + foreign:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("x")
        (tmp_path / "settings.json").write_text(MARK)
        RunFolder.create(tmp_path, overwrite=True)
        left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
        assert left == set(foreign)

    def test_overwrite_of_a_plain_run_leaves_an_empty_folder(self, tmp_path):
        for _ in range(2):
            run = RunFolder.create(tmp_path / "run", overwrite=True)
            assert os.listdir(run.path) == []
            run.settings(json.loads(MARK))
            run.samples([[1.0]])
            write_text(run.figure_path("a.svg"), "<svg/>")

    def test_overwrite_does_not_follow_a_link_to_figures(self, tmp_path):
        (tmp_path / "gallery").mkdir()
        (tmp_path / "gallery" / "a.png").write_text("x")
        run = RunFolder.create(tmp_path / "run")
        run.settings(json.loads(MARK))
        (run.path / "figures").symlink_to(tmp_path / "gallery")
        RunFolder.create(run.path, overwrite=True)
        assert (tmp_path / "gallery" / "a.png").exists()

    def test_overwrite_of_a_foreign_folder_is_refused(self, tmp_path):
        for name in ("samples.csv", "thesis.tex"):
            (tmp_path / name).write_text("x")
        with pytest.raises(ValueError, match=r"no settings\.json.*nothing was removed"):
            RunFolder.create(tmp_path, overwrite=True)
        assert sorted(os.listdir(tmp_path)) == ["samples.csv", "thesis.tex"]

    def test_settings_go_last_so_that_a_second_attempt_works(self, tmp_path, monkeypatch):
        for name in ("settings.json", "samples.csv"):
            (tmp_path / name).write_text(MARK)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refuse(errno.EROFS))
            with pytest.raises(ValueError, match="Read-only file system"):
                RunFolder.create(tmp_path, overwrite=True)
        unlink, order = Path.unlink, []
        monkeypatch.setattr(Path, "unlink", lambda self: (order.append(self.name), unlink(self)))
        RunFolder.create(tmp_path, overwrite=True)
        assert order == ["samples.csv", "settings.json"]

    def test_file_in_the_way(self, tmp_path):
        (tmp_path / "a").write_text("x")
        with pytest.raises(ValueError, match="a is a file: choose another --out"):
            RunFolder.create(tmp_path / "a")
        with pytest.raises(ValueError, match=r"cannot write .*a/b: Not a directory\.$"):
            RunFolder.create(tmp_path / "a" / "b")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
    @pytest.mark.parametrize("call", ["pathlib.Path.mkdir", "tempfile.TemporaryFile"])
    def test_refusal_is_one_line(self, tmp_path, monkeypatch, number, call):
        monkeypatch.setattr(call, refuse(number))
        with pytest.raises(ValueError, match=f"cannot write .*run: {os.strerror(number)}") as caught:
            RunFolder.create(tmp_path / "run")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("as_array", [False, True])
    def test_disk_that_fills_halfway_keeps_the_old_samples(self, tmp_path, request, as_array):
        run = RunFolder.create(tmp_path / "run")
        old = run.samples([[1.0]], as_array=as_array).read_bytes()
        request.getfixturevalue("small_disk")
        large = np.random.default_rng(0).normal(size=(20000, 2))
        with pytest.raises(ValueError, match=r"cannot write .*samples\.(csv|npy): ") as caught:
            run.samples(large, as_array=as_array)
        assert "large" in str(caught.value) or "full" in str(caught.value)
        assert [file.read_bytes() for file in run.path.iterdir()] == [old]

    def test_history_and_settings_on_a_full_disk(self, tmp_path, monkeypatch):
        run = RunFolder.create(tmp_path / "run")
        monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
        with pytest.raises(ValueError, match=r"settings\.json: No space left on device\.$"):
            run.settings({"a": 1})
        with pytest.raises(ValueError, match=r"history\.csv: No space left on device\.$"):
            run.history({"a": [1.0]})
        assert os.listdir(run.path) == []


def test_default_name_counts_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_name("generate") == "proxflow-generate"
    Path("proxflow-generate").mkdir()
    assert default_name("generate") == "proxflow-generate-2"
    Path("proxflow-generate-2").symlink_to("nowhere")
    assert default_name("generate") == "proxflow-generate-3"
    assert default_name("compare") == "proxflow-compare"


def test_import_is_light():
    program = "import sys; import proxflow.store, proxflow.data.tables; print(*sys.modules)"
    source = str(Path(__file__).parents[1] / "src")
    out = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"pandas", "pyarrow", "matplotlib"} & set(out.stdout.split())
