"""DCGAN: arithmetic on mean codes, and the turn vector.

    make reproduce-arithmetic-dcgan PROFILE=fast

Digits with measured attributes stand in for the paper's faces with attributes picked by eye: "thick
A - thin A + thin B" shall be a thick B. Three samples of a kind are averaged, and the noise around
the result is uniform in (-0.25, 0.25), as in the paper.
"""

import ml_collections

from configs.base import parse_argument
from configs.dcgan import shared

ROWS = ("mnist",)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("dcgan_arithmetic", argument, ROWS)
    if profile == "smoke":
        config = shared.smoke("dcgan_arithmetic", row)
    else:
        config = shared.paper("dcgan_arithmetic", row, profile, row)
    config.arithmetic = ml_collections.ConfigDict(
        {
            "num_samples": 20_000,  # drawn, among which kinds are sought
            "averaged": 3,  # samples of a kind
            "noise": 0.25,  # uniform in (-noise, noise), around the result
            "neighbours": 8,  # drawn around it
        }
    )
    if profile == "fast":
        shared.fast(config)
    if profile == "smoke":
        config.arithmetic.num_samples = 2_000
    return config
