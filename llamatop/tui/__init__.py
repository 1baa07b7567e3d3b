"""The terminal screen. The only place that imports Textual."""
