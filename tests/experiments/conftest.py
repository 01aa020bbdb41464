"""What the tests of experiments share: tiny runs on the digits, and looks at their pictures."""

import shutil

import pytest
from PIL import Image

from aae_jax import plots
from experiments.harness import catalogue, cli, judge, ledger, workdir

TINY = {
    "train.seeds": "1",
    "train.epochs": "1",
    "model.hidden": "(8,)",
    "model.discriminator_hidden": "(8,)",
    "model.encoder_hidden": "(8,)",
    "model.encoder_features": "(8,)",
    "model.encoder_dense": "8",
    "model.decoder.num_blocks": "1",
    "model.decoder.features": "8",
}


@pytest.fixture(scope="session")
def kept_judges(tmp_path_factory):
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(autouse=True)
def trained_judges(kept_judges, monkeypatch):
    """A judge that a test before has trained, with the same settings, is found trained."""
    for experiment in {name for name, _ in judge.KEPT.values()}:
        module = catalogue.module(experiment)

        def run(arguments, true=module.run):
            folder = arguments.workdir
            kept = kept_judges / folder.parent.name / folder.name
            if kept.exists() and not folder.exists():
                shutil.copytree(kept, folder)
            finished = true(arguments)
            if not kept.exists():
                shutil.copytree(folder, kept)
            return finished

        monkeypatch.setattr(module, "run", run)


@pytest.fixture
def tiny_run():
    """``tiny_run("aae_fig2", "aae_mixture", "train.epochs=2")``: the command line of a row in the
    smoke profile, one seed and one epoch of narrow networks, in the directory that
    ``make reproduce-...`` gives it."""

    def make(experiment, row, *changes, profile="smoke"):
        spec = f"{catalogue.config_file(experiment)}:{row},{profile}"
        config, _ = cli.load_config(spec)
        sections = {"train": config.train, "model": config.model}
        sections["model.decoder"] = config.model.get("decoder", ())
        known = {f"{section}.{name}" for section in sections for name in sections[section]}
        tiny = {name: value for name, value in TINY.items() if name in known}
        overrides = [f"{name}={value}" for name, value in tiny.items()]
        overrides = [f"--config.{change}" for change in (*overrides, *changes)]
        config, changed = cli.load_config(spec, overrides)
        return cli.Run(config, changed, workdir.derive(config, changed))

    return make


@pytest.fixture
def reproduced(tiny_run):
    """The same, run to its end: what the experiment's ``run`` returns."""

    def run(experiment, row, *changes, **options):
        arguments = tiny_run(experiment, row, *changes, **options)
        return catalogue.module(experiment).run(arguments)

    return run


@pytest.fixture
def recorded(tmp_path):
    """``recorded(finished)``: the one record of a tiny run, which lies beside it and nowhere
    else."""

    def check(finished):
        config = finished.config
        (record,) = ledger.read(finished.workdir / f"{config.experiment}.jsonl")
        assert record == finished.record
        assert (record["row"], record["profile"]) == (config.row, config.profile)
        assert record["epochs"] == 1
        assert not (tmp_path / "results").exists()
        return record

    return check


@pytest.fixture
def grids(monkeypatch):
    """Shapes [rows, columns, h, w, c] of the image grids that were drawn, by file name."""
    shapes, true = {}, plots.image_grid

    def recorded(images, path, **options):
        shapes[path.name] = images.shape
        return true(images, path, **options)

    monkeypatch.setattr(plots, "image_grid", recorded)
    return shapes


@pytest.fixture
def assert_pictures():
    """``assert_pictures(workdir, "a.png", "b.gif")``: these and no others, and real ones."""

    def check(workdir, *names):
        found = [p.name for p in workdir.iterdir() if p.suffix in (".png", ".gif")]
        assert sorted(found) == sorted(names)
        for name in names:
            with Image.open(workdir / name) as picture:
                assert picture.format == name[-3:].upper()
                if name.endswith("gif"):
                    assert picture.n_frames > 1
                assert len(picture.convert("L").getcolors()) > 3  # something is drawn
                assert min(picture.size) >= 16

    return check
