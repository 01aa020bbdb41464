"""The package's version, which pyproject.toml and CITATION.cff follow."""

__version__ = "0.1.0"
