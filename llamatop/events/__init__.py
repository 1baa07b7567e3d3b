"""The facts of a run: their kinds, their clock, how they are cleaned and how they travel."""
