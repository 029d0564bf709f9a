"""What the runs of a design showed: effects, analysis of variance, response model, plot."""

from skmixup.effects.effects import design_effects
from skmixup.effects.plot import plot_effects
from skmixup.effects.plot_runs import plot_runs
from skmixup.effects.tables import DesignEffects

__all__ = ["DesignEffects", "design_effects", "plot_effects", "plot_runs"]
