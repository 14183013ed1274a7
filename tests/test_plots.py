"""Pictures: what is in the axes, not how it looks. Each is drawn once, since layouts fail only when drawn."""

import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest

from proxflow import plots
from proxflow.plots.style import robust_limits
from proxflow.plots.view import choose_moments

TARGET = np.random.default_rng(0).normal(size=(40, 2))
START = np.random.default_rng(1).normal(size=(30, 2)) * 0.2


def ride(start, end, moments=9):
    """Particles that cover the way early, as real runs do: after k moments a share 1 - exp(-k) of it."""
    return [(10 * k, start + (1 - np.exp(-k)) * (end - start)) for k in range(moments)]


def cloud(width, count=30, seed=2):
    return np.random.default_rng(seed).normal(size=(count, width))


def drawn(figure):
    figure.canvas.draw()
    return figure


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


# ---- particles over time


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_every_dimension_has_a_picture_of_all_its_points(width):
    snapshots = ride(cloud(width), cloud(width, seed=3))
    figure = drawn(plots.particles_over_time(snapshots, cloud(width, 40), panels=3))
    assert len(figure.axes) == 3
    assert titles(figure)[0] == "step 0"
    assert titles(figure)[-1].startswith("step 80")
    for axes in figure.axes[:1]:
        if width == 1:
            heights = [patch.get_data().values.sum() for patch in axes.patches]
            assert heights == pytest.approx([1.0, 1.0])
        elif width == 2:
            assert [len(dots.get_offsets()) for dots in axes.collections] == [40, 30]
        elif width == 3:
            assert axes.name == "3d"
            assert len(axes.collections) == 2


def test_pca_view_says_so_and_explains_the_variance_of_the_target():
    target = cloud(5, 200) * [10.0, 5.0, 1e-3, 1e-3, 1e-3]
    figure = plots.particles_over_time([(0, cloud(5))], target, columns=list("abcde"))
    assert "PCA view: 100% of the target's variance in 5 features" in figure.get_suptitle()
    share = target[:, 0].var() / target.var(axis=0).sum()
    assert figure.axes[0].get_xlabel() == f"component 1 ({share:.0%} of variance)"
    # Fitted on the target: its own first component is the horizontal axis, whatever the particles do.
    horizontal = figure.axes[0].collections[0].get_offsets()[:, 0]
    assert abs(np.corrcoef(horizontal, target[:, 0])[0, 1]) > 0.999


def test_panels_are_spread_over_the_motion_and_not_over_the_steps():
    clouds = [snapshot for _, snapshot in ride(START, START + 5, moments=101)]
    alive = [np.ones(30, dtype=bool)] * 101
    chosen = choose_moments(clouds, alive, 6)
    assert chosen[0] == 0
    assert chosen[-1] == 100
    assert len(chosen) == 6
    assert chosen[4] <= 50  # four panels for the first half, in which all the way is covered
    covered = [np.linalg.norm(clouds[index] - clouds[0]) for index in chosen]
    assert max(np.diff(covered)) < 0.7 * covered[-1]


def test_trembling_at_the_goal_does_not_count_as_motion():
    noise = np.random.default_rng(0)
    clouds = [START + min(k / 20, 1.0) * 10 + 0.05 * noise.normal(size=START.shape) for k in range(1000)]
    chosen = choose_moments(clouds, [np.ones(30, dtype=bool)] * 1000, 6)
    assert chosen[-2] < 30


def test_particles_that_stand_still_are_shown_at_even_steps():
    alive = [np.ones(30, dtype=bool)] * 11
    assert choose_moments([START] * 11, alive, 3) == [0, 5, 10]


def test_one_outlier_neither_ruins_the_frame_nor_is_hidden():
    start = START.copy()
    start[0] = 1e6
    figure = drawn(plots.particles_over_time([(0, start), (1, START)], TARGET))
    assert max(figure.axes[0].get_xlim()) < 10
    assert titles(figure) == ["step 0   (1 outside)", "step 1"]


@pytest.mark.parametrize("count", [3, 10, 40, 1000])
def test_limits_keep_plain_data_and_drop_one_wild_value(count):
    values = np.random.default_rng(count).normal(size=count)
    low, high = robust_limits(values)
    assert low < values.min()
    assert high > values.max()
    wild = robust_limits(np.append(values, 1e9))
    if count >= 8:
        assert wild == pytest.approx((low, high))
    assert robust_limits(np.full(5, 3.0)) == (1.5, 4.5)


def test_equal_scales_are_used_unless_units_differ_too_much():
    assert plots.particles_over_time([(0, START)], TARGET).axes[0].get_aspect() == 1.0
    assert plots.particles_over_time([(0, START)], TARGET * [1, 1e5]).axes[0].get_aspect() == "auto"


def test_non_finite_particles_are_dropped_with_a_note():
    broken = START.copy()
    broken[:2] = [[np.nan, 0.0], [np.inf, 0.0]]
    broken[2] = 1e300
    figure = drawn(plots.particles_over_time([(0, START), (1, broken)], TARGET))
    assert len(figure.axes[1].collections[1].get_offsets()) == 27
    assert "Up to 3 non-finite particles dropped" in figure.get_supxlabel()
    lost = drawn(plots.particles_over_time([(0, START), (1, START * np.nan)], TARGET))
    assert len(lost.axes[1].collections) == 1


@pytest.mark.parametrize(
    ("snapshots", "target"),
    [
        ([(0, np.zeros((1, 2)))], TARGET),
        ([(0, np.zeros((5, 2))), (1, np.zeros((5, 2)))], np.zeros((1, 2))),
        ([(0, cloud(6))], np.ones((4, 6))),
        ([(0, np.ones((4, 1)))], np.ones((4, 1))),
        ([(0, np.ones((1, 3)))], np.ones((2, 3))),
        ([(0, cloud(2, 5)), (1, cloud(2, 9))], TARGET),
        ([(0, START.astype(np.float32)[:, 0])], TARGET.astype(np.float32)[:, :1]),
    ],
    ids=[
        "one particle",
        "identical",
        "constant target",
        "constant 1-d",
        "point 3-d",
        "ragged",
        "float32 1-d",
    ],
)
def test_degenerate_clouds_are_drawn_without_a_warning(snapshots, target, tmp_path):
    drawn(plots.particles_over_time(snapshots, target, panels=2))
    assert plots.animation(tmp_path / "a.gif", snapshots, target).stat().st_size > 0


def test_names_are_text_and_not_mathematics():
    columns = ["cost in $ of $\\frac", "very " * 20]
    figure = drawn(plots.particles_over_time([(0, START)], TARGET, columns=columns))
    assert figure.axes[0].get_xlabel() == columns[0]
    assert len(figure.axes[0].get_ylabel()) < 30


@pytest.mark.parametrize(
    ("snapshots", "target", "columns", "words"),
    [
        ([], TARGET, None, "no snapshots"),
        ([(7, cloud(3))], TARGET, None, "step 7 has 3 features and the target has 2"),
        ([(0, START)], TARGET * np.nan, None, "no finite row"),
        ([(0, START)], TARGET, ["a"], "1 column names for 2"),
        ([(0, np.zeros((0, 2)))], TARGET, None, "nothing to draw"),
    ],
)
def test_impossible_input_is_named(snapshots, target, columns, words):
    with pytest.raises(ValueError, match=words):
        plots.particles_over_time(snapshots, target, columns=columns)


# ---- animation


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_animation_has_one_different_frame_per_moment_and_holds_the_last(tmp_path, width):
    from PIL import Image

    snapshots = ride(cloud(width), cloud(width, seed=5) + 1)
    path = plots.animation(tmp_path / "run.gif", snapshots, cloud(width, 40) + 1, frames=6, seconds=1.2)
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.n_frames == 6
        assert film.info["loop"] == 0
        pictures, durations = [], []
        for frame in range(6):
            film.seek(frame)
            durations.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
    assert durations[1:5] == [200] * 4
    assert durations[5] >= 1000
    assert (pictures[0][0, 0] == 255).all()  # white paper stays white
    blue = [int(((p[..., 2] - p[..., 0]) > 60)[40:].sum()) for p in pictures]
    assert min(blue) > 50  # the particles are there in every frame, below the legend
    middle = [picture[80:-40] for picture in pictures]
    assert all((one != other).any() for one, other in itertools.pairwise(middle))


def test_a_long_animation_is_small_and_a_failed_one_leaves_nothing(tmp_path):
    snapshots = ride(cloud(2, 600), cloud(2, 600, seed=4), moments=60)
    path = plots.animation(tmp_path / "run.gif", snapshots, cloud(2, 200))
    assert path.stat().st_size < 1_500_000
    with pytest.raises(ValueError, match="seconds must be positive"):
        plots.animation(tmp_path / "other.gif", snapshots, TARGET, seconds=0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.gif"]


# ---- convergence


def test_convergence_is_logarithmic_only_where_all_values_are_positive():
    steps = np.arange(300)
    history = {
        "value": np.exp(-steps / 30) - 0.01,
        "fisher": np.exp(-steps / 30),
        "slope": np.linspace(0.5, 0.9, 300),
        "step": np.full(300, 0.5),
        "anything_else": np.zeros(3),
    }
    figure = drawn(plots.convergence(history, lipschitz=2.0))
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear", "linear"]
    slope = figure.axes[2]
    assert [line.get_ydata()[0] for line in slope.lines if len(set(line.get_ydata())) == 1] == [2.0]
    assert slope.get_ylim()[1] > 2.0
    assert slope.texts[0].get_text() == "L = 2"
    assert not any(axes.texts for axes in figure.axes if axes is not slope)


def test_convergence_smooths_long_runs_and_keeps_the_raw_curve():
    values = np.random.default_rng(0).uniform(1, 2, size=1000)
    (axes,) = plots.convergence({"value": values}).axes
    raw, median = axes.lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    assert median.get_ydata().std() < 0.5 * values.std()
    assert raw.get_xdata()[[0, -1]].tolist() == [1, 1000]
    assert len(plots.convergence({"value": values[:50]}).axes[0].lines) == 1


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, np.nan], [1.0, np.nan, np.inf, 2.0], [0.0, 0.0], [-1.0, -2]])
def test_convergence_of_degenerate_histories(values):
    figure = drawn(plots.convergence({name: values for name in ("value", "slope")}, lipschitz=1.0))
    missing = int((~np.isfinite(values)).sum()) * 2
    shown = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(steps) for steps in shown] == ([[1.0]] if values == [1.0] else [[1, 4]] if len(values) == 4 else [])
    assert (f"{missing} non-finite" in (figure.get_supxlabel() or "")) == (missing > 0)


def test_step_is_the_size_in_a_run_and_the_number_in_a_written_history():
    run = plots.convergence({"value": [3.0, 2.0], "step": [0.5, 0.25]})
    written = plots.convergence({"value": [3.0, 2.0], "step": [10, 20], "step_size": [0.5, 0.25]})
    for figure, numbers in ((run, [1, 2]), (written, [10, 20])):
        assert titles(figure) == ["divergence", "step size"]
        assert figure.axes[1].lines[0].get_ydata().tolist() == [0.5, 0.25]
        assert figure.axes[1].lines[0].get_xdata().tolist() == numbers


def test_convergence_names_what_it_cannot_read():
    with pytest.raises(ValueError, match=r"\['loss'\], but none of value, fisher, slope, step"):
        plots.convergence({"loss": [1.0]})
    with pytest.raises(ValueError, match=r"'slope' has shape \(3,\), expected \(2,\)"):
        plots.convergence({"value": [1, 2], "slope": [1, 2, 3]})


# ---- images


def test_image_grid_puts_every_image_in_its_place():
    images = np.arange(6 * 16, dtype=float).reshape(6, 16)
    figure = drawn(plots.image_grid(images, (4, 4), columns=4, title="six"))
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    assert sheet.shape == (11, 21, 3)
    np.testing.assert_allclose(sheet[1:5, 6:10, 0] * 95, images[1].reshape(4, 4))
    np.testing.assert_allclose(sheet[6:10, 1:5, 2] * 95, images[4].reshape(4, 4))
    assert (sheet[6:10, 11:] == 1.0).all()  # two empty places, white
    assert figure.get_suptitle() == "six"


def test_image_grid_clips_at_low_and_high_and_says_what_it_leaves_out():
    images = np.linspace(-5, 5, 40).reshape(10, 4)
    figure = plots.image_grid(images, (2, 2), columns=3, rows=2, title="few", low=0.0, high=1.0)
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    assert (sheet[1:3, 1:3] == 0.0).all()
    assert figure.get_suptitle() == "few, first 6 of 10"


def test_colour_images_keep_their_channels_and_constant_ones_do_not_warn():
    image = np.zeros((1, 2, 2, 3))
    image[..., 0] = 1.0
    sheet = np.asarray(plots.image_grid(image.reshape(1, -1), (2, 2, 3)).axes[0].images[0].get_array())
    np.testing.assert_array_equal(sheet[1:3, 1:3], image[0])
    drawn(plots.image_grid(np.full((2, 4), np.nan), (2, 2)))
    drawn(plots.image_grid(np.ones((2, 4)), (2, 2)))


def test_image_comparison_pairs_each_new_image_with_its_nearest():
    real = np.eye(9)[:, :9]
    new = 0.5 * real[[4, 2, 7]]
    figure = drawn(plots.image_comparison(real, new, [4, 2, 7], (3, 3), columns=2))
    axes = figure.axes[0]
    sheet = np.asarray(axes.images[0].get_array())[..., 0]
    for row, column in ((1, 5), (6, 5)):  # the second pair of the first row: new above, real below
        tile = sheet[row : row + 3, column : column + 3]
        assert tile.argmax() == 2
        assert tile.max() == (0.5 if row == 1 else 1.0)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["new", "nearest real", "new", "nearest real"]


def test_image_pairs_sets_each_above_its_partner():
    above, below = np.eye(9)[:3], 1 - np.eye(9)[:3]
    axes = drawn(plots.image_pairs(above, below, (3, 3), labels=("2", "0"), columns=3)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "0"]
    sheet = np.asarray(axes.images[0].get_array())[..., 0]  # two strips of 5 rows; tiles of 3 with a gap of 1
    for column in range(3):
        left = 1 + 4 * column
        assert np.array_equal(sheet[1:4, left : left + 3].ravel(), above[column])
        assert np.array_equal(sheet[6:9, left : left + 3].ravel(), below[column])
    with pytest.raises(ValueError, match="3 images above and 2 below"):
        plots.image_pairs(above, below[:2], (3, 3))


@pytest.mark.parametrize(
    ("nearest", "words"),
    [([0, 1], "expected 3 row numbers"), ([0.0, 1.0, 2.0], "row numbers"), ([0, 1, 9], "0 to 8")],
)
def test_image_comparison_checks_the_row_numbers(nearest, words):
    with pytest.raises(ValueError, match=words):
        plots.image_comparison(np.eye(9), np.eye(9)[:3], nearest, (3, 3))


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="9 values each do not make images of 2 x 2"):
        plots.image_grid(np.eye(9), (2, 2))
    with pytest.raises(ValueError, match="shape must be"):
        plots.image_grid(np.eye(9), (9,))
    with pytest.raises(ValueError, match="rows must be at least 1"):
        plots.image_grid(np.eye(9), (3, 3), rows=0)


# ---- marginals and nearest distances


def test_marginals_draw_the_features_that_differ_most_first():
    target = cloud(20, 300)
    moved = target.copy()
    moved[:, 13] += 5.0
    moved[:, 4] += 0.7
    figure = drawn(plots.marginals(moved, target, [f"gene {index}" for index in range(20)]))
    assert len(figure.axes) == 12
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == ["gene 13", "gene 4"]
    assert "12 of 20 features" in figure.get_suptitle()
    gap = float(titles(figure)[0].removeprefix("gap "))
    from scipy.stats import ks_2samp

    assert gap == pytest.approx(ks_2samp(moved[:, 13], target[:, 13]).statistic, abs=0.005)


def test_marginals_of_degenerate_clouds():
    broken = np.full((3, 2), 1.0)
    broken[0, 0] = np.nan
    figure = drawn(plots.marginals(broken, np.ones((4, 2))))
    assert titles(figure) == ["gap 0.00", "gap 0.00"]
    assert "1 non-finite new sample dropped" in figure.get_supxlabel().lower()
    with pytest.raises(ValueError, match="2 features and the target has 3"):
        plots.marginals(np.ones((3, 2)), np.ones((3, 3)))


def test_nearest_distances_tell_copies_from_new_samples():
    real = np.random.default_rng(0).uniform(1, 2, size=1000)
    honest = drawn(plots.nearest_distances(real[::-1], real))
    copied = drawn(plots.nearest_distances(np.r_[np.zeros(300), np.full(700, 1.9)], real, real_label="other real"))
    assert "\n5% of new" in honest.get_suptitle()
    assert "30% of new samples are as close as the closest 5% of other real" in copied.get_suptitle()
    curve = max(copied.axes[0].lines, key=lambda line: len(line.get_xdata()) * (line.get_color() == "#0b5cad"))
    assert np.interp(0.5, curve.get_xdata(), curve.get_ydata()) == pytest.approx(0.3, abs=0.01)


def test_nearest_distances_of_nothing_and_of_exact_copies():
    figure = drawn(plots.nearest_distances(np.zeros(5), np.zeros(5)))
    assert "100% of new samples" in figure.get_suptitle()
    with pytest.raises(ValueError, match="new_to_train: no finite distance"):
        plots.nearest_distances([np.nan], [1.0])
    with pytest.raises(ValueError, match="negative"):
        plots.nearest_distances([1.0], [-1.0])


# ---- saving, and no global state


def test_saved_figures_are_png_of_150_dots_per_inch_and_repeatable(tmp_path):
    from PIL import Image

    figure = plots.convergence({"value": [2.0, 1.0]})
    written = [plots.save_figure(figure, tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert written[0] == written[1]
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert image.size[0] == pytest.approx(150 * figure.get_figwidth(), abs=1)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_plots_work_in_threads_and_leave_the_global_state_alone(tmp_path):
    import matplotlib

    before = {name: value for name, value in matplotlib.rcParams.items() if name != "backend"}
    failures = []

    def work(index):
        try:
            plots.save_figure(plots.particles_over_time([(0, START)], TARGET), tmp_path / f"{index}.png")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert {name: matplotlib.rcParams[name] for name in before} == before


def test_heavy_imports_wait_for_the_first_picture_and_pyplot_for_ever():
    program = """
import sys
import proxflow.plots, proxflow.report
print(*sorted({"matplotlib", "sklearn", "PIL"} & set(sys.modules)))
proxflow.plots.particles_over_time([(0, [[0.0, 1.0, 2.0]])], [[1.0, 2.0, 3.0], [1.5, 2.5, 3.0]])
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output == "\nTrue False\n"
