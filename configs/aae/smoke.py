"""What the ``smoke`` rows of this paper share: small networks on scikit-learn's 8x8 digits."""

import ml_collections

from configs.base import base


def smoke(experiment: str, row: str, method: str) -> ml_collections.ConfigDict:
    """A method's defaults with small networks of its own, on the digits: seconds a run."""
    config = base(experiment, row, "smoke", method)
    config.data.name = "digits"
    config.data.unlabelled = 1200
    config.data.batch_size = 50
    model = config.model
    model.hidden = (200, 200)
    model.init = "lecun_normal"
    if "discriminator_hidden" in model:
        model.discriminator_hidden = (100, 100)
    if "style_dim" in model:
        model.style_dim = 4  # with more, the style says everything about an 8x8 image
    if "encoder_batch_norm" in model:
        model.encoder_batch_norm = "all"
    if model.optimizers.get("reconstruction", {}).get("name") == "sgd":
        model.optimizers.reconstruction.learning_rate = 0.05
    model.schedule.name = "constant"
    config.train.seeds = 2
    config.train.log_every = 24
    config.train.evaluate_every = 5
    return config
