"""Weights of Inception v3 by a recipe, and what torch-fidelity makes of images with them.

The fixture beside this file was made by ``python -m tests.networks.inception_recipe`` where
torch-fidelity 0.4.0 and PyTorch were installed: its own ``FeatureExtractorInceptionV3`` loaded
these weights, and its own functions resized and scored. Weights are drawn, not learnt: published
ones are not needed to tell whether two networks are the same.
"""

import tempfile
import zlib
from pathlib import Path

import numpy as np

from aae_jax.networks.inception import NUM_CLASSES, NUM_FEATURES, kernel_shapes

FIXTURE = Path(__file__).with_name("inception_fixture.npz")
LAYERS = ("64", "192", "768", "2048", "logits_unbiased")


def _draws(name):
    return np.random.RandomState(zlib.crc32(name.encode()))  # whose streams are frozen


def state_dict():
    """As a port to PyTorch names and lays them out; float32 arrays by name."""
    arrays = {}
    for layer, (height, width, channels, features) in kernel_shapes().items():
        draws = _draws(layer)
        kernel = draws.standard_normal((features, channels, height, width))
        arrays[f"{layer}.conv.weight"] = kernel * np.sqrt(2 / (channels * height * width))
        arrays[f"{layer}.bn.weight"] = draws.uniform(0.8, 1.2, features)
        arrays[f"{layer}.bn.bias"] = draws.uniform(-0.2, 0.2, features)
        arrays[f"{layer}.bn.running_mean"] = draws.uniform(-0.2, 0.2, features)
        arrays[f"{layer}.bn.running_var"] = draws.uniform(0.5, 1.5, features)
    draws = _draws("fc")
    arrays["fc.weight"] = draws.standard_normal((NUM_CLASSES, NUM_FEATURES)) / 20
    arrays["fc.bias"] = draws.uniform(-1, 1, NUM_CLASSES)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def images():
    """uint8 [8, 32, 32, 3]: waves of several colours."""
    draws = _draws("images")
    rows, columns = np.mgrid[:32, :32][..., None]
    shape = (8, 1, 1, 3)
    waves = [
        np.sin(draws.uniform(0, 3, shape) * rows + draws.uniform(0, 3, shape) * columns)
        for _ in range(3)
    ]
    return np.round(127.5 * (1 + sum(waves) / 3)).astype(np.uint8)


def spread(logits):
    """Logits [n, k] of which the score says something: a network that has learnt nothing puts
    nearly the same into all images, which is taken off."""
    return 30 * (logits - logits.mean(axis=0))


def _make():
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )
    from torch_fidelity.metric_isc import isc_features_to_metric

    with tempfile.TemporaryDirectory() as folder:
        tensors = {name: torch.from_numpy(array) for name, array in state_dict().items()}
        for layer in kernel_shapes():
            tensors[f"{layer}.bn.num_batches_tracked"] = torch.tensor(0)
        torch.save(tensors, f"{folder}/weights.pth")
        extractor = FeatureExtractorInceptionV3("recipe", list(LAYERS), f"{folder}/weights.pth")
    given = torch.from_numpy(images().transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = dict(zip(LAYERS, (x.numpy() for x in extractor(given))))
    small = torch.from_numpy(images()[:1, :5, :7].transpose(0, 3, 1, 2).astype(np.float32))
    resized = interpolate_bilinear_2d_like_tensorflow1x(small, (11, 11), align_corners=False)
    logits = found.pop("logits_unbiased")
    score = isc_features_to_metric(torch.from_numpy(spread(logits)), splits=2, shuffle=False)
    np.savez_compressed(
        FIXTURE,
        **{name: array[:1] for name, array in found.items()},
        logits=logits,
        resized=resized.numpy().transpose(0, 2, 3, 1),
        score=np.array([score["inception_score_mean"], score["inception_score_std"]]),
    )
    for name, array in found.items():
        print(name, array.mean(), array.std())
    print("logits", logits.std(), "score", score)


if __name__ == "__main__":
    _make()
