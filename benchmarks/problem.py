"""What both sides of the train step compute: table 2's MNIST row in the paper's own settings."""

import ml_collections
import numpy as np

from configs.aae import table2 as aae_table2

NUM_IMAGES, NUM_LABELS, SIDE, NUM_CLASSES = 60_000, 100, 28, 10


def config() -> ml_collections.ConfigDict:
    return aae_table2.get_config("mnist_100,paper")


def images_and_labels(num: int = NUM_IMAGES) -> tuple[np.ndarray, np.ndarray]:
    """Random images of MNIST's size (uint8 [num, 28, 28, 1], a fifth of the pixels lit) and labels;
    the time of a step does not depend on what they show."""
    generator = np.random.default_rng(0)
    shape = (num, SIDE, SIDE, 1)
    images = generator.integers(0, 256, shape, dtype=np.uint8)
    images[generator.random(shape, np.float32) > 0.2] = 0
    return images, generator.integers(0, NUM_CLASSES, num, dtype=np.int32)
