"""The DCGAN's step in PyTorch, eager, as one would write it there."""

import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import common, dcgan_worker


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(dcgan_worker.NOISE, 1024, bias=False),
            _norm(nn.BatchNorm1d, 1024),
            nn.ReLU(),
            nn.Linear(1024, 7 * 7 * 128, bias=False),
            _norm(nn.BatchNorm1d, 7 * 7 * 128),
            nn.ReLU(),
        )
        self.up = nn.Sequential(
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
            _norm(nn.BatchNorm2d, 64),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.dense(x).reshape(-1, 128, 7, 7))


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 64, 4, 2, 1),
            nn.LeakyReLU(dcgan_worker.SLOPE),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            _norm(nn.BatchNorm2d, 128),
            nn.LeakyReLU(dcgan_worker.SLOPE),
        )
        self.dense = nn.Sequential(
            nn.Linear(7 * 7 * 128, 1024, bias=False),
            _norm(nn.BatchNorm1d, 1024),
            nn.LeakyReLU(dcgan_worker.SLOPE),
            nn.Linear(1024, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.down(x).flatten(1))[:, 0]


def _norm(kind: Any, features: int) -> nn.Module:
    return kind(features, eps=dcgan_worker.EPSILON, momentum=1 - dcgan_worker.MOMENTUM)


class Steps:
    """Networks from the other side's parameters, and ``run``."""

    def __init__(self, path: str, channels_last: bool, fused: bool):
        arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
        self.generator, self.discriminator = Generator(), Discriminator()
        _copy_generator(self.generator, arrays)
        _copy_discriminator(self.discriminator, arrays)
        images, noise = dcgan_worker.batches()
        self.images = [torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()) for batch in images]
        self.noise = list(torch.from_numpy(noise))
        if channels_last:
            for module in (self.generator, self.discriminator):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.images = [x.to(memory_format=torch.channels_last) for x in self.images]

        def adam(module: nn.Module) -> torch.optim.Optimizer:
            rate, decays = dcgan_worker.RATE, dcgan_worker.DECAYS
            return torch.optim.Adam(module.parameters(), rate, decays, fused=fused)

        self.generators, self.discriminators = adam(self.generator), adam(self.discriminator)

    def step(self, i: int) -> list[torch.Tensor]:
        images = self.images[i % dcgan_worker.NUM_BATCHES]
        # One forward pass of the generator serves both updates.
        fake = self.generator(self.noise[i % dcgan_worker.NUM_BATCHES])
        real_logits, fake_logits = self.discriminator(images), self.discriminator(fake.detach())
        discriminator_loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
        self.discriminators.zero_grad(set_to_none=True)
        discriminator_loss.backward()
        self.discriminators.step()

        generator_loss = F.softplus(-self.discriminator(fake)).mean()
        self.generators.zero_grad(set_to_none=True)
        # No gradients for the discriminator's weights.
        generator_loss.backward(inputs=list(self.generator.parameters()))
        self.generators.step()
        return [discriminator_loss.detach(), generator_loss.detach()]

    def run(self, num: int) -> list[list[float]]:
        return [[float(loss) for loss in self.step(i)] for i in range(num)]


def _channels_first(array: torch.Tensor, *, inputs: bool) -> torch.Tensor:
    """Of a dense layer [in, out], the end that is a map of 7x7x128: here it is 128x7x7."""
    weight = array.T if inputs else array
    return weight.reshape(-1, 7, 7, 128).permute(0, 3, 1, 2).reshape(weight.shape)


def _copy(layer: Any, kernel: torch.Tensor, bias: torch.Tensor | None = None) -> None:
    with torch.no_grad():
        layer.weight.copy_(kernel)
        if bias is not None:
            layer.bias.copy_(bias)


def _copy_generator(generator: Generator, arrays: dict[str, torch.Tensor]) -> None:
    prefix = "generator/"
    _copy(generator.dense[0], arrays[prefix + "Dense_0/kernel"].T)
    _copy(generator.dense[3], _channels_first(arrays[prefix + "Dense_1/kernel"], inputs=False).T)
    for place, name in ((0, "ConvTranspose_0"), (3, "ConvTranspose_1")):
        kernel = arrays[f"{prefix}{name}/kernel"].flip(0, 1).permute(2, 3, 0, 1)
        _copy(generator.up[place], kernel, arrays.get(f"{prefix}{name}/bias"))


def _copy_discriminator(discriminator: Discriminator, arrays: dict[str, torch.Tensor]) -> None:
    prefix = "discriminator/"
    for place, name in ((0, "Conv_0"), (2, "Conv_1")):
        kernel = arrays[f"{prefix}{name}/kernel"].permute(3, 2, 0, 1)
        _copy(discriminator.down[place], kernel, arrays.get(f"{prefix}{name}/bias"))
    dense = arrays[prefix + "Dense_0/kernel"]
    _copy(discriminator.dense[0], _channels_first(dense, inputs=True))
    _copy(
        discriminator.dense[3],
        arrays[prefix + "Dense_1/kernel"].T,
        arrays[prefix + "Dense_1/bias"],
    )


def main() -> None:
    prepared: dict[tuple[bool, bool], Steps] = {}

    def prepare(path: str, channels_last: bool, fused: bool, num: int) -> list[list[float]]:
        """Losses of the first steps."""
        torch.set_num_threads(common.num_cores())
        steps = prepared[channels_last, fused] = Steps(path, channels_last, fused)
        return steps.run(num)

    def seconds_per_step(channels_last: bool, fused: bool, num: int) -> float:
        begin = time.perf_counter()
        prepared[channels_last, fused].run(num)
        return (time.perf_counter() - begin) / num

    common.serve({"prepare": prepare, "seconds_per_step": seconds_per_step})


if __name__ == "__main__":
    main()
