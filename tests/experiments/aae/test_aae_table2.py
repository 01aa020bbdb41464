"""AAE, table 2: the paper's numbers, every row from end to end, and the quickstart's accuracy."""

import json

import jax
import numpy as np
import pytest

from configs.aae import table2 as configs
from experiments import quickstart
from experiments.aae import table2
from experiments.harness import cli, ledger
from experiments.harness.catalogue import ROOT
from experiments.harness.runner import run_experiment

# Table 2 of the paper, typed again: per column, (method, error, ±).
PAPER = {
    "mnist_100": [
        ("NN baseline", 25.80, None),
        ("VAE (M1) + TSVM", 11.82, 0.25),
        ("VAE (M2)", 11.97, 1.71),
        ("VAE (M1 + M2)", 3.33, 0.14),
        ("VAT", 2.33, None),
        ("CatGAN", 1.91, 0.1),
        ("Ladder networks", 1.06, 0.37),
        ("ADGM", 0.96, 0.02),
        ("AAE", 1.90, 0.10),
    ],
    "mnist_1000": [
        ("NN baseline", 8.73, None),
        ("VAE (M1) + TSVM", 4.24, 0.07),
        ("VAE (M2)", 3.60, 0.56),
        ("VAE (M1 + M2)", 2.40, 0.02),
        ("VAT", 1.36, None),
        ("CatGAN", 1.73, 0.18),
        ("Ladder networks", 0.84, 0.08),
        ("AAE", 1.60, 0.08),
    ],
    "mnist_all": [
        ("NN baseline", 1.25, None),
        ("VAE (M1 + M2)", 0.96, None),
        ("VAT", 0.64, 0.04),
        ("CatGAN", 0.91, None),
        ("Ladder networks", 0.57, 0.02),
        ("AAE", 0.85, 0.02),
    ],
    "svhn_1000": [
        ("NN baseline", 47.50, None),
        ("VAE (M1) + TSVM", 55.33, 0.11),
        ("VAE (M1 + M2)", 36.02, 0.10),
        ("VAT", 24.63, None),
        ("ADGM", 16.61, 0.24),
        ("AAE", 17.70, 0.30),
    ],
}


def test_the_tables_numbers_are_the_papers():
    rows = {row.name: row for row in table2.TABLE.rows}
    assert tuple(rows) == configs.ROWS
    assert len(rows) == 8
    for name, column in PAPER.items():
        *others, (_, mean, std) = column
        assert rows[name].paper == (mean, std)
        assert [tuple(entry) for entry in rows[name].cited] == others
        baseline = others[0]
        assert rows[f"{name}_nn"].paper == baseline[1:]


def test_the_papers_own_curves():
    assert dict(table2.PAPER_CURVES["mnist_100"]) == {1: 16.50, 50: 3.40, 500: 2.21, 5000: 1.80}
    assert dict(table2.PAPER_CURVES["svhn_1000"]) == {
        1: 49.34,
        50: 25.86,
        500: 18.15,
        1000: 17.66,
    }


@pytest.mark.parametrize("row", configs.ROWS)
@pytest.mark.parametrize("profile", ["paper", "fast"])
def test_configs_name_the_rows_data_and_labels(row, profile):
    config = configs.get_config(f"{row},{profile}")
    name, labels = row.removesuffix("_nn").split("_")
    assert config.data.name == {"mnist": "mnist", "svhn": "svhn_cropped"}[name]
    assert config.data.num_labels == (0 if labels == "all" else int(labels))
    assert config.data.labelled_batch_size == 100
    assert (config.row, config.profile, config.experiment) == (row, profile, "aae_table2")
    assert config.method == ("supervised_mlp" if "_nn" in row else "semi_supervised_aae")


@pytest.mark.parametrize("row", configs.ROWS)
def test_every_row_runs_from_end_to_end(row, tmp_path, capsys):
    tiny = ["--config.model.hidden=(8,)", "--config.train.seeds=1", "--config.train.epochs=1"]
    if not row.endswith("_nn"):
        tiny.append("--config.model.discriminator_hidden=(8,)")
    config = f"--config={ROOT}/configs/aae/table2.py:{row},smoke"
    run = cli.parse([config, f"--workdir={tmp_path / 'run'}", *tiny])
    finished = table2.run(run)

    (record,) = ledger.read(tmp_path / "results/aae_table2.jsonl")
    assert record == json.loads((tmp_path / "run/record.json").read_text())
    assert (record["row"], record["profile"], record["metric"]) == (
        row,
        "smoke",
        "test_error_percent",
    )
    assert record["updates"] == 24
    assert record["epochs"] == 1
    assert record["seeds"] == [0]
    assert record["dataset"].startswith("digits (stand-in")
    assert set(record["overrides"]) >= {"model.hidden", "train.seeds", "train.epochs"}
    assert 0 <= record["values"][0] <= 100
    assert np.isfinite(jax.tree.leaves(finished.result.states[0].params)[0]).all()
    pictures = {"test_error.png"} | ({"label_style.png"} if not row.endswith("_nn") else set())
    for picture in pictures:
        assert (tmp_path / "run" / picture).read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "digits (stand-in" in shown
    assert record["params_sha256"][0] in shown


def test_the_style_grid_has_a_row_per_style_and_a_column_per_label(tmp_path):
    config = f"{ROOT}/configs/aae/table2.py:mnist_100,smoke"
    overrides = ["--config.model.hidden=(8,)", "--config.model.discriminator_hidden=(8,)"]
    overrides += ["--config.train.seeds=1", "--config.train.epochs=1"]
    run = cli.Run(*cli.load_config(config, overrides), tmp_path / "run")
    grids = []
    run_experiment(
        run, table2.TABLE, lambda finished: grids.append(table2.style_grid(finished)) or []
    )
    (grid,) = grids
    assert grid.shape[1:] == (10, 8, 8, 1)
    assert np.isfinite(grid).all()


def test_the_quickstart_learns_from_a_hundred_labels(tmp_path):
    # It ends at 3 to 5 percent; labels alone, without the autoencoder, stay at 10.
    config = f"{ROOT}/configs/quickstart.py:semi_supervised,smoke"
    overrides = ["--config.train.seeds=1", "--config.train.epochs=60"]
    overrides += ["--config.train.evaluate_every=20"]
    run = cli.Run(*cli.load_config(config, overrides), tmp_path / "run")
    record = run_experiment(run, quickstart.TABLE, lambda finished: []).record
    assert record["config"]["data"]["num_labels"] == 100
    assert record["values"][0] < 8.0
