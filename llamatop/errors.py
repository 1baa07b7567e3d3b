"""The one error a person can mend: bad input, told in one line."""


class InputError(Exception):
    """What is wrong, where, and what to do about it, in one line; the command line exits with 2."""
