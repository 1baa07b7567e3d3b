"""How a run goes: source and children, next level, pump, replay. Knows no widget."""
