"""The networks of the implicit autoencoders in NumPy, with one convolution and one dense layer of
hidden units, images of 4x2, a batch norm behind every ReLU."""

import numpy as np

from tests.methods.numpy_reference import conv, dense, normalised, sigmoid, transposed_conv


def activated(params, name, x):
    return normalised(params[name]["BatchNorm_0"], np.maximum(x, 0))


def np_encoder(params, images, epsilon):
    """Logits [b, 3]: a convolution, ε beside what it sees, a dense layer, the head."""
    x = activated(params, "_Activation_0", conv(params["Conv_0"], images))
    x = np.concatenate([x.reshape(len(x), -1), epsilon], axis=1)
    x = activated(params, "_Activation_1", dense(params["Dense_0"], x))
    return params["head_scale"] * normalised(None, dense(params["Dense_1"], x))


def np_decoder(params, z, n):
    x = dense(params["Dense_0"], np.concatenate([z, n], axis=1))
    x = dense(params["Dense_1"], activated(params, "_Activation_0", x))
    x = activated(params, "_Activation_1", x).reshape(len(x), 2, 1, 3)
    return sigmoid(transposed_conv(params["ConvTranspose_0"], x))


def np_head(params, features, epsilon):
    """Logits [b, 3] of features [b, d]: a dense layer, the head."""
    x = np.concatenate([features, epsilon], axis=1)
    x = activated(params, "_Activation_0", dense(params["Dense_0"], x))
    return params["head_scale"] * normalised(None, dense(params["Dense_1"], x))


def np_trunk(params, images, noise, before_relu=False):
    """Features [b, d]: leaky ReLUs, the first without batch norm, the second with it before or
    after. ``noise`` as of the pairs."""

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    of_images, of_conv, of_dense = noise
    x = leaky(conv(params["Conv_0"], images + of_images)) + of_conv
    x = dense(params["Dense_0"], x.reshape(len(x), -1))
    norm = params["_Activation_1"]["BatchNorm_0"]
    x = leaky(normalised(norm, x)) if before_relu else normalised(norm, leaky(x))
    return x + of_dense


def np_pairs(params, images, z, noise, joined="conv"):
    """Logits [b] of a batch of pairs, or of images alone; the code is a bias of the convolution or
    of the dense layer, before its ReLU. ``noise``: what is added to the images and behind the two
    layers."""
    of_images, of_conv, of_dense = noise
    x = conv(params["Conv_0"], images + of_images)
    if z is None or joined == "dense":
        pass
    elif "map_1" in params:
        hidden = np.maximum(dense(params["map_0"], z), 0)
        x = x + dense(params["map_1"], hidden).reshape(*x.shape[:3], 1)
    else:
        x = x + (z @ params["map_0"]["kernel"])[:, None, None]
    x = activated(params, "_Activation_0", x) + of_conv
    x = dense(params["Dense_0"], x.reshape(len(x), -1))
    if joined == "dense":
        x = x + z @ params["map_0"]["kernel"]
    x = activated(params, "_Activation_1", x) + of_dense
    return dense(params["Dense_1"], x)[:, 0]
