"""What takes hours: long runs, and the same fault again and again. `python -m tests.soak`."""
