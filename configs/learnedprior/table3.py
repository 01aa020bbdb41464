"""Learning priors, table 3: the learned prior (A), the perceptual loss (B) and the decoder's
updates in both phases (C), one after the other, on CIFAR-10 with codes of 64.

    make reproduce-table3-learnedprior PROFILE=fast ROWS="cifar10_jpeg_baseline cifar10_jpeg_full"

`cifar10_jpeg` is a stand-in: all of CIFAR-10's images, compressed. Networks and the code's size are
the paper's; λ, optimizers, rates, batches, lengths and the noise's size are ours (paper silent).
"""

import ml_collections

from configs.base import parse_argument
from configs.learnedprior import shared
from configs.scores import scores_section

VARIANTS = {
    "baseline": (False, False, False),
    "a": (True, False, False),
    "ab": (True, True, False),
    "full": (True, True, True),
}
ROWS = tuple(f"{data}_{variant}" for data in shared.CIFAR10 for variant in VARIANTS)


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_table3", argument, ROWS)
    data, variant = row.rsplit("_", 1)
    config = shared.on("learnedprior_table3", row, profile, data)
    model = config.model
    model.learned_prior, model.perceptual, model.decoder_in_both = VARIANTS[variant]
    config.train.seeds = 3 if profile == "paper" else 1
    scores_section(config)
    return config
