"""Search for better designs and put them into the shipped table.

Only a design with a smaller centred discrepancy than the one in the table replaces it, so this
can be run again, with another seed or more effort, at any time, and stopped at any time:

    python benchmarks/design_table.py --seed 1 --effort 6
    python benchmarks/design_table.py --runs 27 30 --factors 4 5 6 --effort 64
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


def save(found: dict[tuple[int, int], np.ndarray]) -> None:
    """Merge the found designs into the table as it is now; several runs may do so in turn."""
    designs = dict(shipped.unpack(PATH.read_bytes())) if PATH.exists() else {}
    for size, design in found.items():
        if size not in designs or discrepancy(design) < discrepancy(designs[size]):
            designs[size] = design.astype(np.uint8)
    PATH.with_suffix(".new").write_bytes(shipped.pack(designs))
    PATH.with_suffix(".new").replace(PATH)


def main() -> None:
    """Go through the sizes, saving whenever half a minute has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=range(2, 61))
    parser.add_argument("--factors", type=int, nargs="+", default=range(1, 16))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=float, default=6.0)
    args = parser.parse_args()
    found: dict[tuple[int, int], np.ndarray] = {}
    saved = time.monotonic()
    for n in args.runs:
        for s in args.factors:
            known = shipped.shipped_designs().get((n, s))
            design = better(known, n, s, args.seed, args.effort)
            if design is not None:
                found[n, s] = design
            if time.monotonic() - saved > 30:
                save(found)
                saved = time.monotonic()
                print(f"n = {n}, s = {s}: {len(found)} better so far", flush=True)
    save(found)
    print(f"{len(found)} better")


if __name__ == "__main__":
    main()
