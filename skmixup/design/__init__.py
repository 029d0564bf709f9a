"""Which runs to make: uniform designs and orthogonal arrays, in numpy."""
