"""How classifiers score samples: the section that such experiments share."""

import ml_collections


def scores_section(config: ml_collections.ConfigDict) -> None:
    """The published protocol of the Inception score (Salimans et al. 2016, and the authors' code):
    50,000 samples in 10 splits; 10,000 in the fast profile, 500 in the smoke profile."""
    num_samples = {"paper": 50_000, "fast": 10_000, "smoke": 500}[config.profile]
    config.scores = ml_collections.ConfigDict({"num_samples": num_samples, "splits": 10})
