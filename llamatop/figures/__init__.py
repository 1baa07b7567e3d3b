"""What the numbers mean: of a request, of a level, near the hardware, in other tools' words."""
