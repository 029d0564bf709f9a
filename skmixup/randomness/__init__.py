"""One source of randomness for a fit, apart from everybody else's, also in threads.

Modules draw initial weights and dropout masks from torch's process-wide generator, and a user's
own data set may draw from numpy's or Python's. While user code of a fit runs, these generators
hold the fit's own states; before and after, the caller's. Threads take turns at that. One whose
turn it is not does not wait: its draws are handed a generator of their own
(:mod:`skmixup.randomness.explicit`), with the same numbers as outcome.
"""
