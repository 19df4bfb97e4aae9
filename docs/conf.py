"""The documents as a site with search: `make docs`. Sphinx and MyST read the same files as people do."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECTIONS = {
    "Begin": ("docs/first-ten-minutes", "docs/faq", "docs/glossary"),
    "Operate": ("docs/operations", "docs/settings", "docs/runbook", "docs/systemd", "docs/security", "docs/live",
                "docs/reports", "docs/sweep", "docs/scale"),
    "Understand": ("docs/architecture", "docs/signal", "docs/scan-format", "docs/performance"),
    "Decisions": tuple(f"docs/adr/{path.stem}" for path in sorted((ROOT / "docs/adr").glob("*.md"))),
    "Measured": tuple(f"benchmarks/{path.stem}" for path in sorted((ROOT / "benchmarks").glob("*.md"))),
    "Project": ("CONTRIBUTING", "SECURITY", "CHANGELOG"),
}  # fmt: skip

project = "Dolphin"
root_doc = "README"
extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/*.md", "docs/adr/*.md", "benchmarks/*.md"]
exclude_patterns = [".*", "var", "tests", "ci-output", "logs", "dolphin_*", "scripts", "deploy"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Dolphin"
html_extra_path = ["site/index.html"]
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_sphinx = html_show_copyright = html_copy_source = False
nitpicky = True


def add_contents(_app: Any, name: str, source: list[str]) -> None:
    """Add the table of contents to the first page, where readers of the file need none."""
    if name == root_doc:
        source[0] += "".join(
            f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
            for title, pages in SECTIONS.items()
        )


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    app.connect("source-read", add_contents)
