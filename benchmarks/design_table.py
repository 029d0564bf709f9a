"""Search for better designs and put them into the shipped table.

Only a design with a smaller centred discrepancy than the one in the table replaces it, so this
can be run again, with another seed or more effort, at any time, and stopped at any time:

    python benchmarks/design_table.py --seed 1 --effort 4

A full pass at effort 4 over n ≤ 60, s ≤ 15 takes a bit under an hour of one core.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from skmixup.design import discrepancy, prefix_uniform_order, shipped, uniform_design

PATH = Path(shipped.__file__).with_name(shipped.TABLE)


def better(
    known: np.ndarray | None, n: int, s: int, seed: int, effort: float
) -> np.ndarray | None:
    """A better design than the known one, in prefix-uniform order, or None."""
    method = "optimize" if known is None else "auto"
    found = uniform_design(n, s, method=method, random_state=seed, effort=effort)
    if known is not None and discrepancy(found) >= discrepancy(known) * (1 - 1e-10):
        return None
    return found[prefix_uniform_order(found)]


def main() -> None:
    """Go through the sizes, saving whenever half a minute has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs=2, default=(2, 60), metavar=("FROM", "TO"))
    parser.add_argument("--factors", type=int, nargs=2, default=(1, 15), metavar=("FROM", "TO"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=float, default=4.0)
    args = parser.parse_args()
    designs = dict(shipped.unpack(PATH.read_bytes())) if PATH.exists() else {}
    saved = time.monotonic()
    improved = 0
    sizes = [
        (n, s)
        for n in range(args.runs[0], args.runs[1] + 1)
        for s in range(args.factors[0], args.factors[1] + 1)
    ]
    for n, s in sizes:
        found = better(designs.get((n, s)), n, s, args.seed, args.effort)
        if found is not None:
            designs[n, s] = found.astype(np.uint8)
            improved += 1
        if time.monotonic() - saved > 30 or (n, s) == sizes[-1]:
            PATH.write_bytes(shipped.pack(designs))
            saved = time.monotonic()
            print(f"n = {n}, s = {s}: {improved} better so far", flush=True)


if __name__ == "__main__":
    main()
