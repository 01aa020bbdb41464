"""The same train step in PyTorch, eager, as one would write it there."""

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import common, problem


class Encoder(nn.Module):
    def __init__(self, hidden: tuple[int, int], heads: tuple[int, int]):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(problem.SIDE**2, hidden[0]),
            nn.ReLU(),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(),
        )
        self.label, self.style = (nn.Linear(hidden[1], size) for size in heads)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.trunk(x)
        return self.label(x), self.style(x)


def mlp(inputs: int, hidden: tuple[int, int], outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden[0]),
        nn.ReLU(),
        nn.Linear(hidden[0], hidden[1]),
        nn.ReLU(),
        nn.Linear(hidden[1], outputs),
    )


class Steps:
    """Networks, optimizers and data; ``step`` is one update with all four phases."""

    def __init__(self, fused: bool = False, input_noise: float | None = None):
        torch.manual_seed(0)
        self.config = problem.config()
        self.model = model = self.config.model
        self.input_noise = model.input_noise if input_noise is None else input_noise
        images, labels = problem.images_and_labels()
        self.images = torch.from_numpy(images).flatten(1)
        self.labels = torch.from_numpy(labels).long()
        self.order = torch.randperm(problem.NUM_IMAGES)
        self.labelled_order = torch.randint(problem.NUM_LABELS, (problem.NUM_IMAGES,))
        self.position = 0

        self.encoder = Encoder(model.hidden, (problem.NUM_CLASSES, model.style_dim))
        self.decoder = mlp(problem.NUM_CLASSES + model.style_dim, model.hidden, problem.SIDE**2)
        self.label_discriminator = mlp(problem.NUM_CLASSES, model.discriminator_hidden, 1)
        self.style_discriminator = mlp(model.style_dim, model.discriminator_hidden, 1)
        self.discriminators = nn.ModuleList([self.label_discriminator, self.style_discriminator])
        for module in (self.encoder, self.decoder, self.discriminators):
            for name, parameter in module.named_parameters():
                nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(
                    parameter, std=0.01
                )

        def sgd(phase: str, *modules: nn.Module) -> torch.optim.Optimizer:
            settings = model.optimizers[phase]
            parameters = [parameter for module in modules for parameter in module.parameters()]
            return torch.optim.SGD(
                parameters, settings.learning_rate, settings.momentum, fused=fused
            )

        self.reconstruction = sgd("reconstruction", self.encoder, self.decoder)
        self.discriminator = sgd("discriminator", self.discriminators)
        self.generator = sgd("generator", self.encoder)
        self.classification = sgd("classification", self.encoder)

    def gather(self, order: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.position * size % problem.NUM_IMAGES
        index = order[start : start + size]
        return self.images[index].float() / 255, self.labels[index]

    def corrupt(self, images: torch.Tensor) -> torch.Tensor:
        if not self.input_noise:
            return images
        return images + self.input_noise * torch.randn_like(images)

    def priors(self, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = F.one_hot(torch.randint(problem.NUM_CLASSES, (num,)), problem.NUM_CLASSES).float()
        return y, self.model.style_std * torch.randn(num, self.model.style_dim)

    def step(self, real: tuple[torch.Tensor, torch.Tensor] | None = None) -> list[torch.Tensor]:
        """One update; the losses, in the order of the config's optimizers."""
        num = self.config.data.batch_size
        images, _ = self.gather(self.order, num)
        labelled, labels = self.gather(self.labelled_order, self.config.data.labelled_batch_size)
        self.position += 1
        noisy = self.corrupt(images)

        label_logits, z = self.encoder(noisy)
        reconstructions = self.decoder(torch.cat([label_logits.softmax(1), z], 1)).sigmoid()
        reconstruction_loss = 0.5 * (reconstructions - images).square().sum(1).mean()
        self.reconstruction.zero_grad(set_to_none=True)
        reconstruction_loss.backward()
        self.reconstruction.step()

        # One forward pass of the encoder serves both adversarial phases.
        label_logits, z = self.encoder(noisy)
        y = label_logits.softmax(1)
        y_real, z_real = real or self.priors(num)
        d_y = self.label_discriminator(torch.cat([y_real, y.detach()]))
        d_z = self.style_discriminator(torch.cat([z_real, z.detach()]))
        ones, zeros = torch.ones(num, 1), torch.zeros(num, 1)
        bce = F.binary_cross_entropy_with_logits
        discriminator_loss = (
            bce(d_y[:num], ones)
            + bce(d_y[num:], zeros)
            + bce(d_z[:num], ones)
            + bce(d_z[num:], zeros)
        )
        self.discriminator.zero_grad(set_to_none=True)
        discriminator_loss.backward()
        self.discriminator.step()

        generator_loss = bce(self.label_discriminator(y), ones) + bce(
            self.style_discriminator(z), ones
        )
        self.generator.zero_grad(set_to_none=True)
        # No gradients for the discriminators' weights.
        generator_loss.backward(inputs=list(self.encoder.parameters()))
        self.generator.step()

        label_logits, _ = self.encoder(self.corrupt(labelled))
        classification_loss = F.cross_entropy(label_logits, labels)
        self.classification.zero_grad(set_to_none=True)
        classification_loss.backward()
        self.classification.step()
        losses = {
            "reconstruction": reconstruction_loss,
            "discriminator": discriminator_loss,
            "generator": generator_loss,
            "classification": classification_loss,
        }
        return [losses[phase].detach() for phase in self.model.optimizers]


def _copy_parameters(module: nn.Sequential, arrays: dict[str, np.ndarray], prefix: str) -> None:
    names = ("Trunk_0/Layer_0/", "Trunk_0/Layer_1/", "Layer_0/")
    linears = [layer for layer in module if isinstance(layer, nn.Linear)]
    for linear, name in zip(linears, names):
        _copy_linear(linear, arrays, prefix + name)


def _copy_linear(linear: nn.Linear, arrays: dict[str, np.ndarray], prefix: str) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(arrays[f"{prefix}Dense_0/kernel"].T))
        linear.bias.copy_(torch.from_numpy(arrays[f"{prefix}Dense_0/bias"]))


def losses_of_example(path: str, num: int) -> list[list[float]]:
    """The losses of ``num`` steps without noise from what the other side wrote."""
    arrays = dict(np.load(path))
    steps = Steps(input_noise=0.0)
    _copy_parameters(steps.encoder.trunk, arrays, "encoder/")
    _copy_linear(steps.encoder.label, arrays, "encoder/Layer_0/")
    _copy_linear(steps.encoder.style, arrays, "encoder/Layer_1/")
    _copy_parameters(steps.decoder, arrays, "decoder/")
    _copy_parameters(steps.label_discriminator, arrays, "label_discriminator/")
    _copy_parameters(steps.style_discriminator, arrays, "style_discriminator/")
    steps.order = torch.from_numpy(arrays["order/images"]).long()
    steps.labelled_order = torch.from_numpy(arrays["order/labelled"]).long()
    losses = []
    for step in range(num):
        y, z = torch.from_numpy(arrays[f"real/y{step}"]), torch.from_numpy(arrays[f"real/z{step}"])
        losses.append([float(loss) for loss in steps.step((y, z))])
    return losses


def main() -> None:
    prepared: dict[bool, Steps] = {}

    def seconds_per_step(num: int, threads: int, fused: bool) -> float:
        torch.set_num_threads(threads)
        if fused not in prepared:
            prepared[fused] = Steps(fused)
        steps = prepared[fused]
        begin = time.perf_counter()
        for _ in range(num):
            steps.step()
        return (time.perf_counter() - begin) / num

    common.serve({"losses_of_example": losses_of_example, "seconds_per_step": seconds_per_step})


if __name__ == "__main__":
    main()
