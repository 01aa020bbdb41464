"""How Parzen-window likelihoods are measured: the section that such experiments share."""

import ml_collections


def parzen_section(config: ml_collections.ConfigDict, samples: str = "10k") -> None:
    """Goodfellow et al.'s protocol: 10,000 samples, sigma from ten values between 0.1 and 1 on the
    first 1,000 validation images; and ours for 10 million ("10m")."""
    config.parzen = ml_collections.ConfigDict(
        {
            "num_samples": 10_000,
            "selection_samples": 10_000,  # on which sigma is chosen
            "lowest_sigma": 0.1,
            "highest_sigma": 1.0,
            "num_sigmas": 10,  # log-spaced
        }
    )
    if samples == "10m":
        config.parzen.num_samples = 10_000_000
        # The best sigma falls as samples grow, and is sought on more of them.
        config.parzen.selection_samples = 100_000
        config.parzen.lowest_sigma = 0.05
        config.parzen.highest_sigma = 0.5
