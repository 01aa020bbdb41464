"""The networks of a method in float64 NumPy, with gradients by central differences: what train
steps are compared with."""

import jax
import numpy as np
import optax


def np_tree(tree):
    return jax.tree.map(lambda x: np.array(x, np.float64), tree)


def softplus(x):
    return np.logaddexp(0, x)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_layer(params, x, moments, name):
    x = x @ params["Dense_0"]["kernel"] + params["Dense_0"].get("bias", 0.0)
    if "BatchNorm_0" in params:
        mean, var = x.mean(axis=0), x.var(axis=0)
        moments[name] = (mean, var)
        x = (x - mean) / np.sqrt(var + 1e-5)
        x = x * params["BatchNorm_0"]["scale"] + params["BatchNorm_0"]["bias"]
    return x


def np_trunk(params, x, moments):
    for i in range(len(params)):
        name = f"Layer_{i}"
        x = np.maximum(np_layer(params[name], x, moments, f"Trunk_0/{name}"), 0)
    return x


def normalised(params, x):
    axes = tuple(range(x.ndim - 1))
    x = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + 1e-5)
    return x * params["scale"] + params["bias"] if params else x


def dense(params, x):
    return x @ params["kernel"] + params.get("bias", 0.0)


def conv(params, x):
    """4x4 windows of stride 2 that begin one row above and one column before the image."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((len(x), height, width, params["kernel"].shape[3])) + params["bias"]
    for i, j in np.ndindex(4, 4):
        rows, columns = slice(i, i + 2 * height, 2), slice(j, j + 2 * width, 2)
        out += x[:, rows, columns] @ params["kernel"][i, j]
    return out


def transposed_conv(params, x):
    """Every pixel paints the window, turned by 180 degrees, of the pixels that ``conv`` would see
    it from."""
    _, height, width, _ = x.shape
    features = params["kernel"].shape[3]
    canvas = np.zeros((len(x), 2 * height + 2, 2 * width + 2, features))
    for i, j in np.ndindex(4, 4):
        rows, columns = slice(i, i + 2 * height, 2), slice(j, j + 2 * width, 2)
        canvas[:, rows, columns] += x @ params["kernel"][3 - i, 3 - j]
    return canvas[:, 1:-1, 1:-1] + params["bias"]


def np_heads(params, inputs, moments=None):
    """The outputs of an encoder, one for each of its heads."""
    moments = {} if moments is None else moments
    x = np_trunk(params["Trunk_0"], inputs.reshape(len(inputs), -1), moments)
    names = sorted(name for name in params if name.startswith("Layer_"))
    return tuple(np_layer(params[name], x, moments, name) for name in names)


def np_decoder(params, *codes, moments=None, output=sigmoid):
    moments = {} if moments is None else moments
    x = np_trunk(params["Trunk_0"], np.concatenate(codes, axis=1), moments)
    return output(np_layer(params["Layer_0"], x, moments, "Layer_0"))


def np_discriminator(params, inputs):
    return np_layer(params["Layer_0"], np_trunk(params["Trunk_0"], inputs, {}), {}, "")[:, 0]


def np_gradient(loss, params, networks):
    """d loss / d params of ``networks``, by differences: in float64 one side is near enough."""
    gradient = {}
    here = loss(params)
    for network in networks:

        def difference(leaf):
            out = np.zeros_like(leaf)
            for i in np.ndindex(leaf.shape):
                kept = leaf[i]
                leaf[i] = kept + 1e-7
                out[i] = (loss(params) - here) / 1e-7
                leaf[i] = kept
            return out

        gradient[network] = jax.tree.map(difference, params[network])
    return gradient


def moved_off_zero(params):
    """Biases away from zero, where a ReLU behind dead ones would sit on its kink."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(42), len(leaves))
    moved = [x + 0.1 * jax.random.normal(key, x.shape) for x, key in zip(leaves, keys)]
    return jax.tree.unflatten(treedef, moved)


def np_updates(losses, params, velocity, trains, rates):
    """All phases of one update by gradient descent with momentum, one after another, in place.

    Args:
        losses: (params) -> float by phase.
        params: by network, float64.
        velocity: by phase; filled in the first update.
        trains: networks by phase, in the order of the phases.
        rates: (learning rate, momentum) by phase, or for one network by (phase, network).

    Returns:
        ``{"<phase>/loss": ...}``.
    """
    values = {}
    for phase, networks in trains.items():
        values[f"{phase}/loss"] = losses[phase](params)
        gradient = np_gradient(losses[phase], params, networks)
        for network in networks:
            rate, momentum = rates.get((phase, network), rates[phase])
            before = velocity.setdefault(phase, {}).get(network)
            if before is None:
                before = jax.tree.map(np.zeros_like, params[network])
            velocity[phase][network] = jax.tree.map(
                lambda v, g, m=momentum: m * v + g, before, gradient[network]
            )
            params[network] = jax.tree.map(
                lambda p, v, r=rate: np.array(p - r * v),
                params[network],
                velocity[phase][network],
            )
    return values


def np_half_squared_error(reconstructions, images):
    """Per image: half the sum of squares."""
    return 0.5 * np.square(reconstructions - images.reshape(len(images), -1)).sum(axis=1)


def check_updates(method, batches, draws, make_losses, trains, rates, rtol=1e-4, seed=1):
    """Train steps against NumPy: losses, all parameters and momenta, update by update.

    ``draws`` collects what ``jax.random`` returned in a step (the ``draws`` fixture), and
    ``make_losses(batch, drawn)`` makes of it the losses by phase.
    """
    state = method.init(jax.random.key(seed))
    state = state._replace(params=moved_off_zero(state.params))
    params, velocity = np_tree(state.params), {}
    for i, batch in enumerate(batches):
        draws.clear()
        state, metrics = method.train_step(state, batch, jax.random.key(i))
        drawn = [np.array(array, np.float64) for array in draws]
        losses = make_losses(batch, drawn)
        expected = np_updates(losses, params, velocity, trains, rates)
        assert list(metrics) == list(expected)  # and in the phases' order
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=rtol, err_msg=name)
        assert set(state.params) == set(params)
        for network in params:
            jax.tree.map(
                lambda a, e, n=network: np.testing.assert_allclose(
                    a, e, rtol=rtol, atol=5e-5, err_msg=n
                ),
                state.params[network],
                params[network],
            )
        assert state.opt_state.keys() == trains.keys()
        for phase, networks in trains.items():
            trace = optax.tree.get(state.opt_state[phase], "trace")
            assert set(trace) == set(networks)
            for network in networks:  # dead units would let anything pass
                largest = [np.abs(v).max() for v in jax.tree.leaves(velocity[phase][network])]
                assert max(largest) > 1e-3, (phase, network)
    assert int(state.step) == len(batches)
    return state, params
