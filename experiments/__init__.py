"""The experiments: a folder a paper, one module per table or figure, and what they share in
``harness``."""
