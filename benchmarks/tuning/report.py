"""The page and the plots of tuning_regret.py."""

from collections import defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from benchmarks.records import RESULTS, Records, table, write_page
from benchmarks.tuning.methods import BUDGETS, METHODS, ONE_SHOT

# problem, method, budget, seed → loss; of learners the one chosen by and the one reported
RECORDS = {
    part: Records(f"tuning_regret_{part.replace('-', '_')}", n_keys=4)
    for part in ("functions", "anywhere", "anywhere-adaptive", "learners")
}
COLOURS = {
    "grid": "#9a9a9a",
    "random": "#c7a252",
    "Sobol": "#5b8fd1",
    "Latin hypercube": "#7fb38a",
    "orthogonal": "#b07cc6",
    "uniform": "#d1495b",
    "uniform (WD)": "#e89aa5",
    "TPE": "#333333",
    "sequential uniform": "#e58b1a",
}

Cells = dict[tuple[str, str, int], dict[int, float]]


def read(part: str) -> Cells:
    """Results by problem, method and budget: seed → value."""
    cells: Cells = defaultdict(dict)
    for (problem, method, budget, seed), values in RECORDS[part].rows.items():
        if values[-1] is not None:
            cells[problem, method, budget][seed] = values[-1]
    return cells


def problems(cells: Cells) -> list[str]:
    return list(dict.fromkeys(name for name, _, _ in cells))


def common_seeds(cells: Cells, problem: str) -> list[int]:
    """Seeds that every method has run, so that all are judged on the same problems."""
    sets = [set(seeds) for (name, _, _), seeds in cells.items() if name == problem]
    return sorted(set.intersection(*sets))


def mean_ranks(
    cells: Cells, names: list[str], methods: list[str], budget: int
) -> dict[str, float]:
    """Mean over problems of the mean rank over seeds; where it has no design, it has no rank."""
    ranks = defaultdict(list)
    for name in names:
        there = [m for m in methods if (name, m, budget) in cells]
        values = [list(map(cells[name, m, budget].get, common_seeds(cells, name))) for m in there]
        of_seeds = (rankdata(values, axis=0) - 1) / (len(there) - 1) * (len(methods) - 1) + 1
        for method, mean in zip(there, of_seeds.mean(axis=1), strict=True):
            ranks[method].append(mean)
    return {m: float(np.mean(ranks[m])) if ranks[m] else np.nan for m in methods}


def rank_table(cells: Cells, methods: list[str], budgets: tuple[int, ...]) -> str:
    columns = {n: mean_ranks(cells, problems(cells), methods, n) for n in budgets}
    rows = []
    for method in methods:
        row = [method]
        for ranks in columns.values():
            text = f"{ranks[method]:.2f}"
            row.append(f"**{text}**" if ranks[method] == min(ranks.values()) else text)
        rows.append(row)
    return table(["method", *(f"n = {n}" for n in budgets)], rows)


def value_table(cells: Cells, budget: int) -> str:
    rows = []
    for name in problems(cells):
        row = [name]
        medians = {}
        for method in METHODS:
            seeds = common_seeds(cells, name)
            if (name, method, budget) in cells:
                medians[method] = np.array([cells[name, method, budget][s] for s in seeds])
        if not medians:
            continue
        best = min(np.median(v) for v in medians.values())
        for method in METHODS:
            if method not in medians:
                row.append("–")
                continue
            low, middle, high = np.percentile(medians[method], [25, 50, 75])
            text = f"{middle:.3g}"
            row.append((f"**{text}**" if middle == best else text) + f" ({low:.3g}–{high:.3g})")
        rows.append(row)
    return table(["problem", *METHODS], rows)


def against_tpe(cells: Cells, budget: int) -> str:
    rows = []
    for name in problems(cells):
        if (name, "TPE", budget) not in cells:
            continue
        seeds = common_seeds(cells, name)
        ours = np.array([cells[name, "sequential uniform", budget][s] for s in seeds])
        theirs = np.array([cells[name, "TPE", budget][s] for s in seeds])
        share = np.mean(ours < theirs) + np.mean(ours == theirs) / 2
        medians = [f"{np.median(ours):.3g}", f"{np.median(theirs):.3g}"]
        rows.append([name, *medians, f"{share:.0%}", "yes" if share >= 0.5 else "no"])
    header = ["problem", "sequential uniform", "TPE", "seeds won", "not behind"]
    return table(header, rows)


def plot(cells: Cells, path: Path, budgets: tuple[int, ...], label: str) -> None:
    """Median of the best so far against the number of runs, one panel per problem."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    names = problems(cells)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.4 * columns, 2.9 * rows), layout="constrained", squeeze=False
    )
    for name, ax in zip(names, axes.flat, strict=False):
        seeds = common_seeds(cells, name)
        for method in METHODS:
            there = [n for n in budgets if (name, method, n) in cells]
            middle = [np.median([cells[name, method, n][s] for s in seeds]) for n in there]
            strong = method in ("uniform", "sequential uniform")
            ax.plot(
                there,
                middle,
                color=COLOURS[method],
                marker="o",
                markersize=4 if strong else 2.5,
                linewidth=2.2 if strong else 1.2,
                linestyle="-" if method not in ONE_SHOT or strong else "--",
                label=method,
            )
        ax.set(title=name, xscale="log")
        shown = [n for n in budgets if any((name, m, n) in cells for m in METHODS)]
        ax.set_xticks(shown, [str(n) for n in shown])
        ax.minorticks_off()
        ax.tick_params(labelsize=8)
        ax.title.set_fontsize(10)
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    figure.supxlabel("runs")
    figure.supylabel(label)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(METHODS), loc="outside upper center", fontsize=8)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").quantize(256).save(
        path, optimize=True
    )  # a third of the bytes
    plt.close(figure)


def places(cells: Cells, budgets: tuple[int, ...], method: str) -> str:
    """Where a method stands among those that do not adapt, budget by budget."""
    sentences = []
    for n in budgets:
        ranks = mean_ranks(cells, problems(cells), list(ONE_SHOT), n)
        order = sorted((m for m in ranks if np.isfinite(ranks[m])), key=ranks.__getitem__)
        sentences.append(f"{order.index(method) + 1} of {len(order)} at n = {n}")
    return f"*{method}*: {', '.join(sentences)}."


def write() -> None:
    """Make the page and the plots."""
    page = [(RESULTS / "tuning_regret_method.md").read_text()]
    anywhere, adaptive = read("anywhere"), read("anywhere-adaptive")
    for key, title, label in (
        ("functions", "Test functions", "best value, median over seeds"),
        ("learners", "Learners on real data", "held-out loss, median over seeds"),
    ):
        cells = read(key)
        if not cells:
            continue
        budgets = tuple(n for n in BUDGETS if any(b == n for _, _, b in cells))
        plot(cells, RESULTS / f"tuning_regret_{key}.png", budgets, label)
        seeds = {name: len(common_seeds(cells, name)) for name in problems(cells)}
        page += [
            f"## {title}\n\nSeeds: {', '.join(f'{k} {v}' for k, v in seeds.items())}.\n\n"
            f"![best so far against runs](tuning_regret_{key}.png)\n\n"
            "Mean rank over problems and seeds among the methods that do not adapt (1 is best, "
            f"{len(ONE_SHOT)} worst):\n\n" + rank_table(cells, list(ONE_SHOT), budgets),
            "Places among them:\n\n"
            + "".join(f"* {places(cells, budgets, m)}\n" for m in ("uniform", "uniform (WD)")),
            "The same among all methods:\n\n" + rank_table(cells, list(METHODS), budgets),
        ]
        for n in budgets:
            page.append(f"Best of {n}, median and quartiles:\n\n" + value_table(cells, n))
        versus = 50 if 50 in budgets else budgets[-1]
        page.append(
            f"Sequential uniform design against TPE at {versus} runs:\n\n"
            + against_tpe(cells, versus)
        )
    page += [
        "## Test functions with the optimum anywhere\n\nMean rank among the methods that do not "
        "adapt when the optimum is equally likely at every place of the cube "
        f"({len(common_seeds(anywhere, 'Levy, 4'))} seeds):\n\n"
        + rank_table(anywhere, list(ONE_SHOT), BUDGETS[:4]),
        "".join(f"* {places(anywhere, BUDGETS[:4], m)}\n" for m in ("uniform", "uniform (WD)")),
        "Sequential uniform design against TPE at 50 runs, the optimum anywhere "
        f"({len(common_seeds(adaptive, 'Levy, 4'))} seeds):\n\n" + against_tpe(adaptive, 50),
    ]
    write_page("tuning_regret", "\n".join(page))
