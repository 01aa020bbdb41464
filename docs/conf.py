"""Sphinx: ``make docs``. The pages are Markdown; what is public is shown by its docstring."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aae_jax import __version__ as release  # noqa: E402

project = "aae_jax"
author = copyright = "The aae_jax authors"
version = release
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"aae_jax {release}"
# NamedTuples list their fields under "Attributes:", and their methods would be tuple's.
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_use_rtype = False
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]

REPOSITORY = os.environ.get("REPOSITORY", "")  # owner/name, where the checkout can be seen


def colab_links() -> str:
    """The notebooks, with a link that opens each where ``REPOSITORY`` says whose they are."""
    lines = ["# Notebooks", ""]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = path.stem.replace("_", " ")
        goal = (
            f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{path.name}"
        )
        link = f" [open in Colab]({goal})" if REPOSITORY else ""
        lines.append(f"- {name[0].upper()}{name[1:]}: `notebooks/{path.name}`{link}")
    lines += [
        "",
        "The first cell installs the package from a wheel beside the notebook or from the checkout "
        "around it. `AAE_JAX_SMOKE=1` makes every cell tiny.",
        "",
    ]
    return "\n".join(lines)


def api_pages() -> dict[str, str]:
    """A page for each part of the package, with all of its modules."""
    parts = {
        "methods": "Methods",
        "objectives": "Objectives",
        "networks": "Networks",
        "metrics": "Metrics",
        "data": "Data",
    }
    alone = ("zoo", "priors", "core", "training", "program", "evaluators", "optimizers", "plots",
             "logs", "checkpoints", "published", "rundir", "errors")  # fmt: skip
    pages = {}
    for part, title in parts.items():
        files = sorted((ROOT / "aae_jax" / part).glob("*.py"))
        modules = [f"aae_jax.{part}"]
        modules += [f"aae_jax.{part}.{path.stem}" for path in files if path.stem != "__init__"]
        pages[part] = _page(title, modules)
    for name in alone:
        pages[name] = _page(f"`aae_jax.{name}`", [f"aae_jax.{name}"])
    return pages


def _page(title: str, modules: list[str]) -> str:
    lines = [f"# {title}", ""]
    for module in modules:
        lines += [f"## `{module}`", ""] if len(modules) > 1 else []
        lines += ["```{eval-rst}", f".. automodule:: {module}"]
        if module.count(".") == 1 and len(modules) > 1:
            lines += ["   :no-members:"]
        lines += ["```", ""]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


write(ROOT / "docs/_generated/notebooks.md", colab_links())
for _name, _text in api_pages().items():
    write(ROOT / f"docs/_generated/{_name}.md", _text)


def to_the_checkout(app, name: str, source: list[str]) -> None:
    """Links to files that are no pages lead to the repository, where that is known, or nowhere."""
    folder = (ROOT / "docs" / name).parent

    def replaced(match: re.Match) -> str:
        text, goal = match[1], match[2]
        path = (folder / goal.partition("#")[0]).resolve()
        if path.is_relative_to(ROOT / "docs") or not path.exists():
            return match[0]
        if not REPOSITORY:
            return text
        where = path.relative_to(ROOT)
        return f"[{text}](https://github.com/{REPOSITORY}/blob/main/{where})"

    source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)", replaced, source[0])


def skipped(app, what: str, name: str, member, skip: bool, options) -> bool | None:
    """A NamedTuple's fields are said in its docstring."""
    alias = str(getattr(member, "__doc__", "")).startswith("Alias for field number")
    return True if alias else None


def setup(app) -> None:
    app.connect("autodoc-skip-member", skipped)
    app.connect("source-read", to_the_checkout)
