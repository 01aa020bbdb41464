"""publish: a finished run becomes a file that scores the same, or one line says why not."""

import shutil

import pytest

from aae_jax import published, rundir, zoo
from aae_jax.errors import UserError
from experiments.harness import publish, rescore
from experiments.harness.publish import Form


def test_a_finished_run_becomes_a_model_that_scores_the_same(
    reproduced, tmp_path, monkeypatch, capsys
):
    finished = reproduced("aae_table2", "mnist_100")
    directory, record = finished.workdir, finished.record
    before = sorted(directory.rglob("*"))
    capsys.readouterr()
    publish.main([str(directory), "--to", str(tmp_path)])
    said = capsys.readouterr().out
    assert sorted(directory.rglob("*")) == before
    path = tmp_path / "semi_supervised_aae/mnist_100.npz"
    assert said.startswith(f"{path}: float16, ") and said.count("\n") == 1
    about = zoo.about(path)
    assert about["record"] == record
    found = rescore.score_of_file(path)
    assert found["values"] == [about["score"]] and found["metric"] == record["metric"]
    assert abs(about["score"] - record["mean"]) < 1
    assert not (tmp_path / "results").exists()

    def refused(message, run=directory, **options):
        with pytest.raises(UserError, match=message) as caught:
            publish.publish(run, **{"to": tmp_path} | options)
        assert "\n" not in str(caught.value)

    refused("is no row as configured .*: the zoo has only those", to=None)
    assert record["overrides"].keys() > {"train.seeds"}
    refused("has no finished seed 5: it has 0", seed=5)
    refused("--name=mnist: a model is called METHOD/ROW", name="mnist")
    refused("nowhere is no directory", run=tmp_path / "nowhere")
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    other = record | {"experiment": "aae_table3"}
    rundir.write_json(copy / "record.json", other)
    refused("is a model of aae_table2 already: give this one another name", run=copy)
    shorter = record | {"profile": "fast", "overrides": {"train.seeds": 1}}
    rundir.write_json(copy / "record.json", shorter)
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    assert publish.publish(copy).is_relative_to(zoo.WEIGHTS)  # of fewer seeds: of the row
    (copy / "record.json").write_text("{")
    refused("copy cannot be read .no JSON.: run its command again", run=copy)
    (copy / "record.json").unlink()
    refused(r"copy has no record.json: give a run that is finished", run=copy)
    path.unlink()
    refuses_what_does_not_keep_its_score(finished, tmp_path, monkeypatch)


def refuses_what_does_not_keep_its_score(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "FORMS", (Form("signs", 1),))
    monkeypatch.setattr(publish, "_changed_pixels", lambda *given: 0.0)
    reached = finished.record["mean"]
    monkeypatch.setattr(rescore, "score", lambda *given: {"values": [reached + 5]})
    with pytest.raises(UserError, match=r"with its score: signs scores .* in the place of"):
        publish.publish(finished.workdir, to=tmp_path)
    monkeypatch.setattr(rescore, "score", lambda *given: {"values": [reached]})
    monkeypatch.setattr(publish, "_changed_pixels", lambda *given: 0.5)
    with pytest.raises(UserError, match=r"signs draws other pictures, by 0.500 a pixel"):
        publish.publish(finished.workdir, to=tmp_path)
    monkeypatch.setattr(published, "LARGEST", 100)
    with pytest.raises(UserError, match=r"in 0.0001 MB with its score: signs is 0.0 MB"):
        publish.publish(finished.workdir, to=tmp_path)
    assert not list(tmp_path.glob("*/*.npz"))


def test_scores_that_differ_by_rounding_alone_are_one():
    table = rescore.table_of({"experiment": "aae_table2"})
    assert rescore.keeps(2.03, 2.0, table) and not rescore.keeps(2.05, 2.0, table)
    assert rescore.keeps(2.05, 2.0, table, std=0.6)
    assert rescore.keeps(0.004, 0.0, table) and not rescore.keeps(0.006, 0.0, table)
