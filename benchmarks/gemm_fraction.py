"""The share of the machine's matrix-product peak that the train step reaches."""

import statistics
from itertools import pairwise

from benchmarks import common, problem

GOAL = 0.85
NAME = "GEMM fraction"
_ROUNDS, _STEPS, _GEMMS = 7, 20, 5


def _weights(*widths: int) -> int:
    return sum(inputs * outputs for inputs, outputs in pairwise(widths))


def step_flops() -> int:
    """Floating-point operations of one update's matrix products, two for a multiply-add.

    A layer costs its number of weights per example, once each for the forward pass, for the
    gradient of its weights and for the gradient of its inputs; what a phase does not need is left
    out: weights of networks it does not train, inputs that no trained weight lies before.
    """
    config = problem.config()
    model, batch = config.model, config.data.batch_size
    labelled_batch = config.data.labelled_batch_size
    pixels, classes, style = problem.SIDE**2, problem.NUM_CLASSES, model.style_dim
    trunk = _weights(pixels, *model.hidden)
    heads = model.hidden[-1] * (classes + style)
    encoder, encoder_first = trunk + heads, pixels * model.hidden[0]
    decoder = _weights(classes + style, *model.hidden, pixels)
    hidden = model.discriminator_hidden
    discriminators = _weights(classes, *hidden, 1) + _weights(style, *hidden, 1)
    discriminators_first = (classes + style) * hidden[0]
    # Forward, weights' gradients, inputs' gradients; the encoder's own input needs none.
    reconstruction = batch * (3 * encoder - encoder_first + 3 * decoder)
    # The encoder's forward pass, once for both adversarial phases; the discriminators see as many
    # prior samples as codes, and their inputs are constants here.
    discriminator = batch * encoder + 2 * batch * (3 * discriminators - discriminators_first)
    # Through the discriminators' updated weights, which get no gradient, into the encoder.
    generator = batch * (2 * discriminators + 2 * encoder - encoder_first)
    # The style head is not part of this loss.
    labelled = encoder - model.hidden[-1] * style
    classification = labelled_batch * (3 * labelled - encoder_first)
    return 2 * (reconstruction + discriminator + generator + classification)


def measure() -> str:
    flops = step_flops()
    fractions, seconds, peaks = [], [], []
    with common.Worker("benchmarks.jax_worker") as worker:
        worker.ask("prepare", _STEPS)
        for _ in range(_ROUNDS):
            peaks.append(worker.ask("gemm_flops", _GEMMS))
            seconds.append(worker.ask("seconds_per_step", _STEPS))
            fractions.append(flops / seconds[-1] / peaks[-1])
    fraction = statistics.median(fractions)
    measured = (
        f"{fraction:.2f} of the peak ({flops / 1e9:.2f} GFLOP in "
        f"{1e3 * statistics.median(seconds):.1f} ms; large products run at "
        f"{statistics.median(peaks) / 1e9:.0f} GFLOP/s)"
    )
    return common.line(NAME, measured, f"{GOAL} of the peak", fraction >= GOAL)
