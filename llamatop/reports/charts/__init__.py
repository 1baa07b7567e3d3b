"""Charts of one or several runs as PNG and SVG files. matplotlib is imported here only."""
