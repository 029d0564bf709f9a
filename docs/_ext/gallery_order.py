"""The order of the gallery: as its examples are best read; new ones come last."""

from pathlib import Path

ORDER = [
    "quickstart",
    "label_noise",
    "semi_supervised_moons",
    "adversarial",
    "pretrained_backbone",
    "design_comparison",
    "where_the_runs_lie",
    "sklearn_search",
    "optuna_study",
    "points_27_of_729",
    "effects_of_a_pipeline",
    "two_processes",
    "dask_cluster",
    "several_gpus",
]


def place(filename: str) -> tuple[int, str]:
    """Sort key of an example."""
    stem = Path(filename).stem
    return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)
