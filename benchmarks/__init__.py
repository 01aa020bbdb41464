"""Speed of the suite, as ratios measured in one run: ``make bench``, or ``python -m benchmarks``.

Nothing here is part of the package; PyTorch, the other side of the first comparison, is installed
from ``benchmarks/requirements.txt``.
"""
