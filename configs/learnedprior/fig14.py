"""Learning priors, figures 14 and 15: priors conditioned on the embeddings of sentences.

    make reproduce-fig14-learnedprior PROFILE=fast ROWS=captioned_digits

Embeddings of 200 and 100-D noise are the paper's, for flowers; the text encoder is the structured
joint embedding's (the paper: "a pre-trained recurrent neural network"), which
`reproduce-embedding-gancls` trains. Captioned digits are a stand-in.
"""

import ml_collections

from configs.base import parse_argument
from configs.gancls.shared import captioned
from configs.learnedprior import shared

ROWS = ("captioned_digits", "flowers")


def get_config(argument: str) -> ml_collections.ConfigDict:
    row, profile = parse_argument("learnedprior_fig14", argument, ROWS)
    config = shared.on("learnedprior_fig14", row, profile, row)
    model = config.model
    captioned(config, row)
    model.condition = "sentences"
    model.noise_dim = 8 if profile == "smoke" else 100
    model.code_dim = model.text.dim + model.noise_dim
    # Q's cost is a sum over the embedding: without this it is a hundred times the games'.
    model.information_weight = 1 / model.text.dim
    config.train.epochs = {"paper": 600, "fast": 5, "smoke": 10}[profile]
    return config
