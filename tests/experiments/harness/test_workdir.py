"""Whose a directory is: what may go on in it, and what is another run."""

import json

import pytest

from aae_jax import data as datasets
from aae_jax import rundir
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, workdir

DATASET = datasets.load("digits")


@pytest.fixture
def make_run(tmp_path):
    """``make_run("mnist_100", "train.epochs=3")``: a row of table 2, in one directory."""

    def make(row="mnist_100", *changes, profile="smoke", experiment="aae_table2"):
        spec = f"{catalogue.config_file(experiment)}:{row},{profile}"
        config, changed = cli.load_config(spec, [f"--config.{change}" for change in changes])
        return cli.Run(config, changed, tmp_path / "run")

    return make


@pytest.fixture
def edit(tmp_path):
    """``edit(function)`` changes the config of ``run.json`` in place, as an earlier or later
    version of this package would have written it."""

    def change(function):
        path = tmp_path / "run/run.json"
        content = rundir.load_json(path)
        function(content["config"])
        path.write_text(json.dumps(content))

    return change


def refusal(run):
    before = {p: p.read_bytes() for p in run.workdir.rglob("*")}
    with pytest.raises(UserError) as caught:
        workdir.claim(run, DATASET)
    assert {p: p.read_bytes() for p in run.workdir.rglob("*")} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_run_more_seeds_and_more_epochs_go_on(make_run):
    commit, _ = workdir.claim(make_run(), DATASET)
    for changes in ((), ("train.seeds=3",), ("train.epochs=50", "train.seeds=1")):
        assert workdir.claim(make_run("mnist_100", *changes), DATASET)[0] == commit


@pytest.mark.parametrize("epochs", [20, 60])
def test_a_run_that_its_schedule_spans_is_not_extended(make_run, epochs):
    cosine = "model.schedule.name=cosine"
    workdir.claim(make_run("mnist_100", cosine), DATASET)
    workdir.claim(make_run("mnist_100", cosine, "train.seeds=3"), DATASET)
    line = refusal(make_run("mnist_100", cosine, f"train.epochs={epochs}"))
    assert "holds a run of 40 epochs whose schedule spans them" in line
    assert f"so one of {epochs} cannot go on from it" in line


def test_only_runs_that_can_be_extended_share_a_directory(make_run):
    def folder(*changes):
        run = make_run("mnist_100", *changes)
        return workdir.derive(run.config, run.overrides)

    cosine = "model.schedule.name=cosine"
    assert folder() == folder("train.epochs=7") == folder("train.seeds=1")
    assert folder(cosine) == folder(cosine, "train.seeds=1")
    different = [
        folder(),
        folder(cosine),
        folder(cosine, "train.epochs=7"),
        folder("data.batch_size=7"),
    ]
    assert len(set(different)) == 4


def test_another_setting_or_other_data_is_another_run(make_run):
    workdir.claim(make_run(), DATASET)
    line = refusal(make_run("mnist_100", "model.style_dim=3", "data.batch_size=40"))
    assert "differs in config.data.batch_size (50 there, 40 here), config.model.style_dim" in line
    assert "config.row (mnist_100 there, mnist_1000 here)" in refusal(make_run("mnist_1000"))
    with pytest.raises(UserError, match="differs in dataset_sha256"):
        workdir.claim(make_run(), DATASET._replace(sha256="0" * 64))


def test_a_field_that_an_earlier_run_did_not_have_means_its_default(make_run, edit):
    workdir.claim(make_run(), DATASET)
    edit(lambda config: (config["model"].pop("hidden_noise"), config["train"].pop("first_seed")))
    workdir.claim(make_run(), DATASET)
    line = refusal(make_run("mnist_100", "model.hidden_noise=0.5"))
    assert "config.model.hidden_noise (absent there, 0.5 here)" in line


def test_the_default_is_the_methods_and_not_what_the_row_makes_of_it(make_run, edit):
    workdir.claim(make_run(), DATASET)  # the row has 4 dimensions, the method 10
    edit(lambda config: config["model"].pop("style_dim"))
    assert "config.model.style_dim (absent there, 4 here)" in refusal(make_run())


def test_a_section_of_the_rows_own_that_was_not_there_means_the_rows(make_run, edit):
    arguments = {"experiment": "pixelgan_fig3"}
    workdir.claim(make_run("shallow_invariant", **arguments), DATASET)
    # The method's own optimizer has no epsilon.
    edit(lambda config: config["model"]["optimizers"]["generator"].pop("epsilon"))
    workdir.claim(make_run("shallow_invariant", **arguments), DATASET)
    changed = make_run("shallow_invariant", "model.optimizers.generator.epsilon=1e-4", **arguments)
    assert "optimizers.generator.epsilon (absent there, 0.0001 here)" in refusal(changed)


def test_a_field_that_is_no_more_must_have_been_renamed(make_run, edit):
    workdir.claim(make_run(), DATASET)
    edit(lambda config: config["data"].pop("scaling"))
    edit(lambda config: config["data"].update(standardise=False))
    workdir.claim(make_run(), DATASET)
    edit(lambda config: config["data"].update(standardise=True))
    assert "config.data.scaling (standardised there, unit here)" in refusal(make_run())
    edit(lambda config: config["data"].update(standardise=False, gone=3))
    assert "config.data.gone (3 there, absent here)" in refusal(make_run())


def test_how_a_run_is_dispatched_and_measured_may_change(make_run, edit):
    arguments = {"experiment": "aae_table1"}
    workdir.claim(make_run("mnist_10k", **arguments), DATASET)
    edit(lambda config: config["train"].update(updates_per_dispatch=7))
    changes = "parzen.num_samples=3000", "train.seeds_at_once=1"
    workdir.claim(make_run("mnist_10k", *changes, **arguments), DATASET)


def test_what_a_kill_left_of_run_json_is_no_other_run(make_run):
    run = make_run()
    run.workdir.mkdir()
    (run.workdir / ".run.json.4194305").write_text('{"conf')  # no process has so high a number
    (run.workdir / ".lock").write_text("")
    workdir.claim(run, DATASET)
    assert sorted(p.name for p in run.workdir.iterdir()) == [".lock", "run.json"]
    workdir.claim(run, DATASET)


def test_a_run_json_that_was_changed(make_run):
    run = make_run()
    workdir.claim(run, DATASET)
    path = run.workdir / "run.json"
    path.write_text(path.read_text().replace('"batch_size": 50', '"batch_size": 40', 1))
    line = refusal(run)
    assert "run.json cannot be read (not what was written, by its checksum): bring it back" in line


@pytest.mark.parametrize(
    "content", ["", "[]", "5", "null", '{"config": {}}', '{"config": 3, "commit": "a"}']
)
def test_a_run_json_that_is_none(make_run, content):
    run = make_run()
    run.workdir.mkdir()
    (run.workdir / "run.json").write_text(content)
    assert "run.json cannot be read" in refusal(run)
