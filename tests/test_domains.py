"""Every number of every config has a domain, and what is outside of it is refused."""

import math
from numbers import Real

import numpy as np
import pytest

from aae_jax import domains, methods, training
from aae_jax.errors import UserError
from aae_jax.methods import METHODS, DataSpec
from experiments.harness import catalogue, cli
from experiments.harness.reproduce import rows_of


def is_numeric(value):
    items = value if isinstance(value, tuple) else (value,)
    return all(isinstance(item, Real) and not isinstance(item, bool) for item in items)


def numeric(config, prefix=""):
    return {name: value for name, value in domains.fields(config, prefix) if is_numeric(value)}


def all_configs():
    for name in METHODS:
        yield name, {"model": methods.default_config(name)}
    yield "training", training.default_config()
    for name in catalogue.names():
        for row in rows_of(catalogue.module(name)):
            for profile in ("paper", "fast", "smoke"):
                spec = f"{catalogue.config_file(name)}:{row},{profile}"
                yield spec, cli.load_config(spec)[0]


def test_every_number_has_a_domain_with_its_default_in_it():
    missing = set()
    for where, config in all_configs():
        missing |= {(where, name) for name in numeric(config) if domains.find(name) is None}
        domains.check(config)
    assert not missing, "declare what these can be in aae_jax/domains.py"


@pytest.mark.parametrize("name", sorted(domains.DOMAINS))
def test_no_domain_takes_what_is_no_such_number(name):
    domain = domains.DOMAINS[name]
    for value in (-1, math.nan, math.inf, 10**30, 1e30, "1", ((1,),), None, True):
        assert domain.fault(value), value
    assert not domain.fault(int(domain.high) - (1 if domain.open_high else 0))
    if domain.whole:
        assert domain.fault(1.0) == "a whole number"
        assert not domain.fault(np.int64(domain.low))


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("model", "input_dropout", -1.0, "model.input_dropout is -1.0; it must be at least 0"),
        ("model", "input_dropout", 1e30, r"model.input_dropout is 1e\+30; it must be below 1"),
        ("model", "input_noise", -0.3, "model.input_noise is -0.3; it must be at least 0"),
        ("model", "hidden", (8, 0), r"model.hidden is \(8, 0\), with 0 in it; it must be at least"),
        ("model", "hidden", (8,) * 101, "model.hidden has 101 entries; it can have 100"),
        ("model", "style_dim", 2**31, "model.style_dim is 2147483648; it must be at most 16777216"),
        ("model.optimizers.generator", "learning_rate", -1.0, "generator.learning_rate is -1.0"),
        ("model.optimizers.generator", "momentum", -1.0, "momentum is -1.0; it must be at least 0"),
        ("model.schedule", "epochs", (50, -1), "with -1 in it; it must be at least 0"),
        ("train", "data_shards", -1, "train.data_shards is -1; it must be at least 0"),
        ("train", "seed_shards", -1, "train.seed_shards is -1"),
        ("train", "seeds_at_once", -1, "train.seeds_at_once is -1"),
        ("train", "epochs", 10**30, "train.epochs is 10+; it must be at most 2147483647"),
        ("train", "epochs", 2**31 - 1, "which makes 12884901882 updates"),
        ("data", "labelled_batch_size", -1, "data.labelled_batch_size is -1"),
        ("data", "classes", ((1,),), "it must be a whole number"),
        ("data", "classes", ("a",), "it must be a whole number"),
    ],
)
def test_a_library_call_refuses_them_too(toy_config, toy_dataset, section, name, value, message):
    config = toy_config()
    holder = config
    for part in section.split("."):
        holder = holder[part]
    with holder.unlocked(), holder.ignore_type():
        holder[name] = value
    with pytest.raises(UserError, match=message):
        spec = training.data_spec(toy_dataset, config)
        methods.build(config.method, config.model, spec=spec)


def test_a_model_that_no_memory_holds_is_refused_with_its_size(toy_fit, tmp_path):
    with pytest.raises(UserError, match=r"optimizers would take [\d,]+ GB, .* config.model"):
        toy_fit({"model.hidden": (2**24, 2**24)})
    assert not (tmp_path / "workdir").exists()


def test_a_deep_and_wide_convolutional_model_is_refused_without_being_made():
    config = methods.default_config("implicit_autoencoder")
    config.decoder.features = (2**24, 2**24)
    spec = DataSpec((32, 32, 1), 10, 10, 10)
    method = methods.build("implicit_autoencoder", config, spec=spec)
    from aae_jax.program import check_memory

    with pytest.raises(UserError, match="optimizers would take"):
        check_memory(method)
