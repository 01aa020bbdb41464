"""``make quickstart``."""

import sys

from PIL import Image

from experiments import quickstart
from experiments.harness import cli, ledger


def test_all_three_methods_are_trained_recorded_and_drawn(tmp_path, monkeypatch, capsys):
    tiny = ["--config.train.epochs=1", "--config.model.discriminator_hidden=(8,)"]
    true = cli.load_config

    def load_config(spec):
        narrow = ["--config.model.hidden=(8,)"]
        if "pixelgan" in spec:
            narrow = ["--config.model.decoder.features=8", "--config.model.encoder_features=(4,8)"]
        return true(spec, tiny + narrow)

    monkeypatch.setattr(cli, "load_config", load_config)
    monkeypatch.delenv("AAE_JAX_RESULTS_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["quickstart", f"--workdir={tmp_path / 'run'}"])
    quickstart.main()
    records = ledger.read(tmp_path / "run/quickstart.jsonl")
    assert [record["row"] for record in records] == ["semi_supervised", "clustering", "pixelgan"]
    printed = capsys.readouterr().out
    for record in records:
        assert f"{record['mean']:6.2f} ± {record['std']:.2f}" in printed
    assert "code_gain_nats" in records[2]["extra"]
    for name in ("clustering/test_error.png", "pixelgan/cluster_samples.png"):
        with Image.open(tmp_path / "run" / name) as picture:
            assert picture.format == "PNG"
