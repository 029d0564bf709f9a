"""Which runs to make: uniform designs and orthogonal arrays, in numpy."""

from skmixup.design.discrepancy import discrepancy, to_unit_cube
from skmixup.design.good_lattice import good_lattice_points
from skmixup.design.ordering import prefix_uniform_order
from skmixup.design.orthogonal import orthogonal_array
from skmixup.design.uniform import uniform_design

__all__ = [
    "discrepancy",
    "good_lattice_points",
    "orthogonal_array",
    "prefix_uniform_order",
    "to_unit_cube",
    "uniform_design",
]
