"""Which runs to make: uniform designs and orthogonal arrays, in numpy."""

from skmixup.design.discrepancy import discrepancy, to_unit_cube
from skmixup.design.effect_tables import DesignEffects
from skmixup.design.effects import design_effects
from skmixup.design.effects_plot import plot_effects
from skmixup.design.good_lattice import good_lattice_points
from skmixup.design.ordering import prefix_uniform_order
from skmixup.design.orthogonal import orthogonal_array
from skmixup.design.uniform import uniform_design

__all__ = [
    "DesignEffects",
    "design_effects",
    "discrepancy",
    "good_lattice_points",
    "orthogonal_array",
    "plot_effects",
    "prefix_uniform_order",
    "to_unit_cube",
    "uniform_design",
]
