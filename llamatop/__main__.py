"""`python -m llamatop`: the same as the console script."""

from llamatop.cli import main

raise SystemExit(main())
