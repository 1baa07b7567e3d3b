"""The tests. What NumPy reads when it is imported is set here, before any of them is."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
"""Threads that share out so little wait for one another, which takes as long again."""
