"""The site of these pages (`make docs`): Sphinx reads them as they are.

It loads nothing from elsewhere.
"""

project = "llamatop"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_title = "llamatop"
html_show_copyright = False
html_theme_options = {
    "description": "htop for LLM inference",
    "page_width": "1150px",
    "body_max_width": "none",
    "font_family": "system-ui, sans-serif",
    "show_powered_by": False,
}
