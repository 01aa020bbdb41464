"""AAE, table 2: its labels, one row from end to end, and the quickstart's accuracy."""

import jax
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax import methods, rundir, training
from configs.aae import table2 as configs
from experiments import quickstart
from experiments.aae import table2
from experiments.harness import cli
from experiments.harness.catalogue import ROOT
from experiments.harness.runner import Finished, run_experiment


@pytest.mark.parametrize("row", configs.ROWS)
@pytest.mark.parametrize("profile", ["paper", "fast"])
def test_configs_name_the_rows_labels_and_method(row, profile):
    config = configs.get_config(f"{row},{profile}")
    labels = row.removesuffix("_nn").split("_")[1]
    assert config.data.num_labels == (0 if labels == "all" else int(labels))
    assert config.data.labelled_batch_size == 100
    assert config.method == ("supervised_mlp" if "_nn" in row else "semi_supervised_aae")


def test_a_row_runs_from_end_to_end(reproduced, recorded, grids, assert_pictures, capsys):
    finished = reproduced("aae_table2", "mnist_100")
    record = recorded(finished)
    assert record == rundir.load_json(finished.workdir / "record.json")
    assert (record["metric"], record["updates"]) == ("test_error_percent", 24)
    assert record["dataset"].startswith("digits (stand-in")
    assert set(record["overrides"]) >= {"model.hidden", "train.seeds", "train.epochs"}
    assert 0 <= record["values"][0] <= 100
    assert np.isfinite(jax.tree.leaves(finished.result.states[0].params)[0]).all()
    assert_pictures(finished.workdir, "test_error.png", "label_style.png")
    assert grids == {"label_style.png": (10, 10, 8, 8, 1)}  # a style a row, a label a column
    shown = capsys.readouterr().out
    assert "digits (stand-in" in shown
    assert record["params_sha256"][0] in shown
    # The baseline has no decoder, and so no second picture.
    baseline = finished._replace(method=finished.method._replace(decode=None))
    assert [path.name for path in table2.figures(baseline)] == ["test_error.png"]


def test_the_papers_curve_stands_beside_its_own_data_only(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        table2.plots, "error_curves", lambda curves, path, **options: drawn.append(options["paper"])
    )
    config = configs.get_config("mnist_100,fast")
    for data in ("mnist/3.0.1", "digits (stand-in, scikit-learn)"):
        finished = Finished(
            config,
            datasets.load("digits")._replace(name=data),
            methods.Method(None, None),
            training.Result((0,), {}, [[]], ["a"], [()], 600 * config.train.epochs, 1.0),
            {"dataset": data},
            tmp_path,
        )
        table2.figures(finished)
    assert drawn[0] == [(600 * epoch, e) for epoch, e in table2.PAPER_CURVES["mnist_100"]]
    assert drawn[1] == []


def test_the_quickstart_learns_from_a_hundred_labels(tmp_path):
    # It ends at 3 to 5 percent; labels alone, without the autoencoder, stay at 10.
    config = f"{ROOT}/configs/quickstart.py:semi_supervised,smoke"
    overrides = ["--config.train.seeds=1", "--config.train.epochs=60"]
    overrides += ["--config.train.evaluate_every=20"]
    run = cli.Run(*cli.load_config(config, overrides), tmp_path / "run")
    record = run_experiment(run, quickstart.TABLE, lambda finished: []).record
    assert record["config"]["data"]["num_labels"] == 100
    assert record["values"][0] < 8.0
