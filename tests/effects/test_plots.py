"""Pictures: what is in them, that nothing overlaps, and that pyplot has them."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread

from skmixup.design import orthogonal_array, to_unit_cube, uniform_design
from skmixup.effects import design_effects, plot_effects, plot_runs
from skmixup.effects.names import common_prefix, wrapped

PREFIX = "columntransformer__estimator__mixupclassifier__"
LONG = [
    "optimizer__lr",
    "optimizer__weight_decay",
    "module__hidden_layer_width",
    "callbacks__lr_scheduler__warmup_fraction_of_all_steps_of_the_whole_fit",
    "module__$activation_1$",
    "train_split__validation_fraction_of_rows_kept_back",
    "alpha",
    "batch_size",
    "module__dropout",
    "layers",
    "max_epochs",
    "preprocessing_$kind_1$",
]


def many_long_names(n_factors=12):
    """Runs of long names on ranges, logarithmic ranges, numbers and categories."""
    x = to_unit_cube(uniform_design(60, 12))
    cells = {q: (x * q).astype(int) for q in (3, 4)}
    kinds = np.array(["relu", "gelu", "silu_with_a_long_name_$x$", "silu_with_a_long_name_$y$"])
    table = {PREFIX + name: list(x[:, j]) for j, name in enumerate(LONG[:n_factors])}
    for j, values in {
        0: list(10 ** (-5 + 4 * x[:, 0])),
        2: [64 * 2**k for k in cells[4][:, 2].tolist()],
        4: kinds[cells[4][:, 4]].tolist(),
        9: [[None, "input_$a_b$", "auto"][k] for k in cells[3][:, 9]],
        10: (10 + 190 * x[:, 10]).astype(int).tolist(),
    }.items():
        if j < n_factors:
            table[PREFIX + LONG[j]] = values
    y = np.random.default_rng(0).normal(size=60)
    return design_effects(table, y - 9 * (x[:, 0] - 0.6) ** 2, log=[PREFIX + LONG[0]])


def overlaps(figure):
    """Pairs of texts of a figure that overlap when drawn, and texts outside it."""
    figure.canvas.draw()
    texts = [figure._suptitle, figure._supxlabel]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            shown = axis.get_view_interval()
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and min(shown) <= tick.get_loc() <= max(shown)
            ]
    texts = [text for text in texts if text is not None and text.get_text()]
    # A slanted label lies in the box of its neighbour without touching it.
    slanted = [text for text in texts if text.get_rotation() not in (0, 90)]
    boxes = {text: text.get_window_extent().padded(-1) for text in texts if text not in slanted}
    found = [
        (one.get_text(), two.get_text())
        for one, two in combinations(boxes, 2)
        if boxes[one].overlaps(boxes[two])
    ]
    width, height = figure.canvas.get_width_height()
    found += [
        (text.get_text(), "outside")
        for text in texts
        if (box := text.get_window_extent()).x0 < -2
        or box.y0 < -2
        or box.x1 > width + 2
        or box.y1 > height + 2
    ]
    return found


@pytest.mark.parametrize("plot", [plot_effects, plot_runs])
@pytest.mark.parametrize("n_factors", [2, 3, 5, 12])
def test_long_names_do_not_overlap(plot, n_factors):
    assert overlaps(plot(many_long_names(n_factors))) == []


@pytest.mark.parametrize("plot", [plot_effects, plot_runs])
@pytest.mark.parametrize("style", ["ggplot", "seaborn-v0_8-talk"])
def test_nor_do_they_in_a_style_of_larger_letters(plot, style):
    with plt.style.context(style):  # Optuna's pictures leave ggplot behind
        assert overlaps(plot(many_long_names())) == []


def test_what_all_names_begin_with_is_written_once():
    figure = plot_effects(many_long_names())
    labels = [axes.get_xlabel().replace("\n", "") for axes in figure.axes]
    whole = [label for label in labels if "…" not in label]
    assert set(whole) <= set(LONG)
    assert len(whole) >= 10
    assert figure._supxlabel.get_text().replace("\n", "") == f"all names begin with {PREFIX}"
    assert plot_effects(orthogonal_array(2, 2), y=range(4))._supxlabel is None


@pytest.mark.parametrize("plot", [plot_effects, plot_runs])
def test_dollars_and_underscores_are_plain_text(plot):
    names = ["$a_1$", "b_{2}^x", "$c"]
    table = {
        name: [["$\\frac", "x_1"][k] for k in column]
        for name, column in zip(names, orthogonal_array(2, 3).T, strict=True)
    }
    figure = plot(table, y=[1, 2, 3, 5])
    figure.canvas.draw()  # "$\\frac" is no formula: it would raise an error
    texts = [text for axes in figure.axes for text in [
        axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()
    ] if set(text.get_text()) & set("$_^")]  # fmt: skip
    assert len(texts) >= 5
    assert not any(text.get_parse_math() or text.get_usetex() for text in texts)


@pytest.mark.parametrize("plot", [plot_effects, plot_runs])
def test_pyplot_saves_the_picture(plot, tmp_path):
    figure = plot(orthogonal_array(3, 3), y=range(9))
    assert plt.gcf() is figure
    plt.savefig(tmp_path / "picture.png")
    picture = imread(tmp_path / "picture.png")[..., :3]
    assert (picture < 0.9).any(axis=2).mean() > 0.01  # not a white page
    assert overlaps(figure) == []


def test_a_line_above_the_panels_says_when_nothing_stands_out():
    design = orthogonal_array([2, 3, 3, 3])
    noise = np.random.default_rng(5).normal(size=18)
    figure = plot_effects(design, y=noise)
    assert figure._suptitle.get_text().startswith("No factor stands out from noise (F tests")
    assert {axes.title.get_weight() for axes in figure.axes} == {"normal"}
    figure = plot_effects(design, y=noise + 20 * design[:, 1])
    assert figure._suptitle is None
    weights = {axes.get_xlabel(): axes.title.get_weight() for axes in figure.axes}
    assert weights == {"x0": "normal", "x1": "bold", "x2": "normal", "x3": "normal"}


def panels(figure):
    """The panels of a picture of runs, by (row, column)."""
    found = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if axes.collections and spec is not None and axes.get_label() != "<colorbar>":
            found[spec.rowspan.start, spec.colspan.start] = axes
    return found


def test_every_run_is_a_dot_at_its_levels_coloured_by_its_response():
    design = np.repeat(orthogonal_array(3, 3), 2, axis=0)
    y = np.random.default_rng(0).normal(size=18) + 3 * design[:, 2] + design[:, 1]
    figure = plot_runs(design, y=y)
    order = list(design_effects(design, y).ranges)
    factors = [int(name[1]) for name in order]
    found = panels(figure)
    assert set(found) == {(0, 0), (1, 0), (1, 1)}
    for (row, column), axes in found.items():
        dots = axes.collections[0]
        places, values = dots.get_offsets(), dots.get_array()
        assert len(places) == 18
        assert len(np.unique(np.round(places, 6), axis=0)) == 18  # none covers another
        run = [int(np.flatnonzero(y == value)[0]) for value in values]
        expected = design[run][:, [factors[column], factors[row + 1]]]
        assert np.abs(places - expected).max() < 0.5


@pytest.mark.parametrize("maximize", [True, False])
def test_lighter_dots_are_better_and_the_worst_do_not_spoil_the_scale(maximize):
    sign = 1 if maximize else -1
    y = sign * np.array([0.9, 0.8, 0.7, 0.85, 0.75, 0.8, 0.6, 0.82, -50])
    figure = plot_runs(orthogonal_array(3, 2), y=y, maximize=maximize)
    dots = panels(figure)[0, 0].collections[0]
    light = dots.cmap(dots.norm(dots.get_array()))[:, :3].sum(axis=1)
    by_quality = np.argsort(sign * dots.get_array())
    assert (np.diff(light[by_quality]) >= 0).all()
    assert np.diff(dots.get_clim()) == pytest.approx(0.1 + 0.3)
    assert light[by_quality][-1] > light[by_quality][3] + 0.3


def test_runs_without_a_response_and_the_best_setting_are_marked():
    y = np.array([1, 2, 3, 4, np.nan, 6, 7, 8, 9.0])
    figure = plot_runs(orthogonal_array(3, 3), y=y)
    lines = {line.get_label(): line for line in panels(figure)[0, 0].lines}
    assert set(lines) == {"best run", "best by the effects", "no response"}
    assert len(lines["no response"].get_xdata()) == 1
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(lines)


def test_only_the_largest_effects_are_drawn_and_it_is_said():
    effects = many_long_names()
    figure = plot_runs(effects, max_factors=3)
    assert figure._suptitle.get_text() == "The 3 of 12 factors with the largest effects"
    assert set(panels(figure)) == {(0, 0), (1, 0), (1, 1)}
    labels = [panels(figure)[1, c].get_xlabel().replace("\n", "") for c in (0, 1)]
    assert labels == [name.removeprefix(PREFIX) for name in list(effects.ranges)[:2]]
    with pytest.raises(ValueError, match="max_factors=1 must be at least 2"):
        plot_runs(effects, max_factors=1)
    with pytest.raises(ValueError, match="already computed"):
        plot_runs(effects, maximize=True)


def test_one_factor_is_drawn_against_the_response():
    figure = plot_runs(np.arange(8)[:, None] % 4, y=range(8))
    axes = panels(figure)[0, 0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x0", "response")
    assert sorted(axes.collections[0].get_offsets()[:, 1]) == list(range(8))


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["clf__a", "clf__b"], "clf__"),
        (["clf__mlp__a", "clf__mlp__b__c"], "clf__mlp__"),
        (["clf__a", "clf2__b"], ""),
        (["clf__a", "clf"], ""),
        (["clf__a"], ""),
        (["alpha", "alpine"], ""),
        (["clf__a", "clf__a__b"], "clf__"),
    ],
)
def test_common_prefix_ends_at_a_step(names, prefix):
    assert common_prefix(names) == prefix


def test_names_are_broken_between_words():
    assert wrapped("short_name") == "short_name"
    assert (
        wrapped("module__hidden_layer_width_of_all", 20) == "module__hidden_\nlayer_width_of_all"
    )
    lines = wrapped("x" * 200, 20).split("\n")
    assert max(map(len, lines)) <= 20
    assert len(lines) == 3
    assert "…" in "".join(lines)
