"""Table 2 of the learned priors: one of its systems from end to end, and the settings of all."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from configs.learnedprior import table1 as table1_configs
from configs.learnedprior import table2 as configs
from experiments.harness import catalogue, cli, scores, workdir
from experiments.harness.judge import Judge
from experiments.learnedprior import table2

NAME = "learnedprior_table2"


def test_lsgan_is_scored_by_the_judge_of_its_data(monkeypatch, reproduced, recorded, grids):
    asked = []

    def describe(images):
        asked.append(np.asarray(images))
        flat = asked[-1].reshape(len(images), -1).astype(np.float64)
        shares = np.exp(flat[:, :4]) / np.exp(flat[:, :4]).sum(axis=1, keepdims=True)
        return shares, flat[:, :3]

    judge = Judge(lambda images: describe(images)[0].argmax(axis=1), 7.5, describe)
    monkeypatch.setattr(scores, "judge_of", lambda trained: judge)
    narrow = ("model.generator.features=(4,4)", "model.discriminator.features=(4,4)")
    finished = reproduced(NAME, "cifar10_jpeg_lsgan", *narrow, "scores.num_samples=30")
    record = recorded(finished)
    assert record["metric"] == "cifar10_classifier_score" and record["mean"] > 1
    extra = record["extra"]
    assert extra["judge_error_percent"] == [7.5]
    assert extra["cifar10_classifier_fid"][0] > 0
    assert {"cifar10_classifier_score_std", "confident_percent"} < set(extra)
    assert "test_half_squared_error_of_d" in extra
    assert len(asked[0]) == 30 and asked[0].min() >= -1.0  # as networks see them
    assert sum(map(len, asked[1:])) == len(finished.dataset.test.labels)
    assert grids["samples.png"][:2] == (8, 13)


def run_of(row, *changes):
    spec = f"{catalogue.config_file(NAME)}:{row},smoke"
    config, changed = cli.load_config(spec, [f"--config.{change}" for change in changes])
    return cli.Run(config, changed, workdir.derive(config, changed))


def test_the_learned_prior_shares_table_3s_training():
    run = run_of("cifar10_jpeg_ours", "scores.num_samples=40")
    shared = table2.training_run(run)
    assert (shared.config.experiment, shared.config.row) == (
        "learnedprior_table3",
        "cifar10_jpeg_full",
    )
    assert "scores.num_samples" not in shared.overrides
    other = run_of("cifar10_jpeg_began")
    assert table2.training_run(other) is other


def test_the_papers_settings():
    wgan = configs.get_config("cifar10_wgangp,paper")
    per_update = wgan.data.batch_size
    assert per_update == wgan.model.critic_steps * 64
    assert wgan.train.epochs * (50_000 // per_update) == pytest.approx(100_000, rel=0.01)
    adam = wgan.model.optimizers.critic
    assert (adam.learning_rate, adam.momentum, adam.second_momentum) == (0.0002, 0.0, 0.9)
    assert wgan.model.schedule.name == "linear"
    began = configs.get_config("cifar10_began,paper")
    assert (began.model.gamma, began.model.k_rate, began.data.batch_size) == (0.5, 0.001, 16)
    assert configs.get_config("cifar10_lsgan,paper").data.batch_size == 64
    assert configs.get_config("cifar10_began,paper").scores.num_samples == 50_000
    vamp = table1_configs.get_config("cifar10_vampprior,paper")
    assert (vamp.model.num_pseudo_inputs, vamp.model.warm_up) == (500, 100.0)
    cited = {row.name: row.cited[0][1] for row in table2.TABLE.rows}
    assert [cited[f"cifar10_{system}"] for system in configs.SYSTEMS] == [
        5.62,
        6.16,
        5.98,
        7.86,
        6.52,
    ]
    assert all(row.paper is None for row in table2.TABLE.rows)  # another classifier's column


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        ("cifar10_jpeg_lsgan", "scores.num_samples=9", "9 samples in 10 splits"),
        ("cifar10_jpeg_wgangp", "data.batch_size=51", "does not divide into the 2 minibatches"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    reproduced, tmp_path, row, change, message
):
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        reproduced(NAME, row, change)
    assert set(tmp_path.rglob("*")) == before
