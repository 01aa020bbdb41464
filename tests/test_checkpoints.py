"""Checkpoints: the same bits back, and what happens to damaged ones; the parameters' hash."""

import hashlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.checkpoints import KEPT, Checkpoints, state_sha256
from aae_jax.core import State
from aae_jax.errors import UserError


def state_at(step: int) -> State:
    keys = jax.random.split(jax.random.key(step))
    return State(
        step=jnp.full((2,), step, jnp.int32),
        params={"n": {"w": jax.random.normal(keys[0], (2, 3)), "empty": {}}},
        batch_stats={"n": {"mean": jax.random.normal(keys[1], (2, 4))}},
        opt_state={"phase": (jnp.arange(2), {"w": jnp.full((2, 3), 1e-40)})},
    )


TEMPLATE = jax.eval_shape(lambda: state_at(0))


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def saved(tmp_path):
    """A directory with checkpoints of steps 1 to 4."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in range(1, 5):
        checkpoints.save(step, state_at(step), 10.0 * step)
    checkpoints.close()
    return tmp_path / "checkpoints"


def restore(directory, template=TEMPLATE):
    checkpoints = Checkpoints(directory)
    try:
        return checkpoints.restore(template)
    finally:
        checkpoints.close()


def flip_bytes(checkpoint):
    damaged = 0
    for path in checkpoint.rglob("*"):
        if path.is_file() and path.parent.name == "d":
            content = bytearray(path.read_bytes())
            middle = len(content) // 2
            content[middle : middle + 8] = bytes(b ^ 0xFF for b in content[middle : middle + 8])
            path.write_bytes(content)
            damaged += 1
    assert damaged


def truncate(checkpoint):
    for path in checkpoint.rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[:10])


def remove_arrays(checkpoint):
    for path in list(checkpoint.rglob("*")):
        if path.is_file() and path.parent.name == "d":
            path.unlink()


def lose_default(checkpoint):
    shutil.rmtree(checkpoint / "default")


def empty(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


def lose_metadata(checkpoint):
    (checkpoint / "default/_METADATA").unlink()


def break_metadata(checkpoint):
    (checkpoint / "default/_METADATA").write_text("[]")


DAMAGES = [
    flip_bytes,
    truncate,
    remove_arrays,
    lose_default,
    empty,
    lose_metadata,
    break_metadata,
]


def steps(directory):
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


def test_the_newest_comes_back_bit_for_bit_with_its_time(saved):
    state, seconds = restore(saved)
    assert_same(state, state_at(4))
    assert seconds == 40.0


def test_the_last_two_are_kept(saved):
    assert KEPT == 2
    assert steps(saved) == [3, 4]


def test_an_empty_directory_has_none(tmp_path):
    assert restore(tmp_path / "new") is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_set_aside_and_the_one_before_it_taken(saved, damage, capfd):
    damage(saved / "4")
    state, seconds = restore(saved)
    assert_same(state, state_at(3))
    assert seconds == 30.0
    notices = [line for line in capfd.readouterr().err.splitlines() if "cannot be read" in line]
    assert len(notices) == 1
    assert notices[0].startswith("checkpoint 4 ")
    assert steps(saved) == [3]
    assert (saved.parent / "unreadable" / "4").is_dir()
    # Training goes on and saves a step of the same number again.
    checkpoints = Checkpoints(saved)
    checkpoints.save(4, state_at(4), 1.0)
    checkpoints.close()
    assert_same(restore(saved)[0], state_at(4))


def test_an_empty_one_of_a_higher_number_is_set_aside(saved, capfd):
    (saved / "5").mkdir()
    (saved / "6").write_text("")  # no checkpoint at all
    assert_same(restore(saved)[0], state_at(4))
    assert "checkpoint 5 cannot be read" in capfd.readouterr().err


def test_what_is_left_of_a_damaged_one_is_not_taken_for_another_models(saved, capfd):
    # Its description has lost an array, and the one before it is whole.
    path = saved / "4/default/_METADATA"
    described = json.loads(path.read_text())
    name = next(k for k in described["tree_metadata"] if "batch_stats" in k)
    del described["tree_metadata"][name]
    path.write_text(json.dumps(described))
    assert_same(restore(saved)[0], state_at(3))
    assert "checkpoint 4 cannot be read (its arrays are not" in capfd.readouterr().err


def test_what_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(1, state_at(1), 1.0)
    checkpoints.wait()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(
        UserError, match=r"cannot be written .*No space left.*: make room"
    ) as caught:
        checkpoints.save(2, state_at(2), 1.0)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    checkpoints.close()
    assert_same(restore(tmp_path / "checkpoints")[0], state_at(1))


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_none_is_readable_it_is_an_error_that_deletes_nothing(saved, damage):
    for step in (3, 4):
        damage(saved / str(step))
    before = sorted(p.name for p in saved.parent.rglob("*") if p.is_file())
    with pytest.raises(UserError, match=r"no readable checkpoint.*another --workdir"):
        restore(saved)
    assert sorted(p.name for p in saved.parent.rglob("*") if p.is_file()) == before
    # And it stays one: starting again in silence would throw the run away.
    with pytest.raises(UserError, match="no readable checkpoint"):
        restore(saved)


def replaced(**leaves):
    return TEMPLATE._replace(params={"n": {"w": TEMPLATE.params["n"]["w"], "empty": {}} | leaves})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            replaced(w=jax.ShapeDtypeStruct((2, 5), jnp.float32)),
            r"params\.n\.w is 2 x 3 of float32 there and 2 x 5 of float32 here",
        ),
        (
            replaced(w=jax.ShapeDtypeStruct((2, 3), jnp.int32)),
            r"params\.n\.w is 2 x 3 of float32 there and 2 x 3 of int32 here",
        ),
        (
            replaced(bias=jax.ShapeDtypeStruct((3,), jnp.float32)),
            r"it has no params\.n\.bias, which is 3 of float32 here",
        ),
        (
            TEMPLATE._replace(batch_stats={"n": {}}),
            r"it has batch_stats\.n\.mean, 2 x 4 of float32, which is not here",
        ),
    ],
)
def test_another_models_checkpoint_is_named_as_such_and_left_alone(saved, template, message, capfd):
    before = sorted(saved.parent.rglob("*"))
    with pytest.raises(UserError, match=message) as caught:
        restore(saved, template)
    assert "update 4" in str(caught.value)
    assert "another --workdir" in str(caught.value)
    assert sorted(saved.parent.rglob("*")) == before
    assert not capfd.readouterr().err
    assert_same(restore(saved)[0], state_at(4))


def test_a_damaged_one_does_not_hide_that_the_others_are_another_models(saved):
    remove_arrays(saved / "4")
    template = replaced(w=jax.ShapeDtypeStruct((2, 5), jnp.float32))
    with pytest.raises(UserError, match=r"update 3 .* is another model's"):
        restore(saved, template)
    assert steps(saved) == [3, 4]


def test_reading_makes_and_removes_nothing(saved):
    half = saved / "5.orbax-checkpoint-tmp-1"
    half.mkdir()
    truncate(saved / "4")
    before = sorted(saved.parent.rglob("*"))
    checkpoints = Checkpoints(saved)
    state, _ = checkpoints.restore(TEMPLATE, set_aside=False)
    checkpoints.close()
    assert_same(state, state_at(3))
    assert sorted(saved.parent.rglob("*")) == before
    restore(saved.parent / "new")
    assert not (saved.parent / "new").exists()


def test_an_older_one_can_be_asked_for_and_the_later_ones_forgotten(saved):
    checkpoints = Checkpoints(saved)
    state, _ = checkpoints.restore(TEMPLATE, newest=3)
    assert_same(state, state_at(3))
    checkpoints.forget_after(3)
    checkpoints.save(4, state_at(5), 1.0)
    checkpoints.close()
    assert steps(saved) == [3, 4]
    assert_same(restore(saved)[0], state_at(5))


def test_what_a_kill_left_half_written_is_ignored(saved):
    half = saved / "5.orbax-checkpoint-tmp-1"
    half.mkdir()
    (half / "junk").write_text("junk")
    assert_same(restore(saved)[0], state_at(4))


PARAMS = {"encoder": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "b": np.zeros(2)}


def test_the_hash_of_a_known_tree():
    tree = {"b": np.zeros((), np.int32), "a": np.asarray([1.0], np.float32)}
    expected = hashlib.sha256(
        b"['a']\0float32\0(1,)\0" + b"\x00\x00\x80\x3f" + b"['b']\0int32\0()\0" + bytes(4)
    )
    assert state_sha256(tree, {}) == expected.hexdigest()


def test_the_hash_is_the_same_for_jax_and_numpy_and_any_order():
    numpy_tree = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.float32)}
    jax_tree = {"a": jnp.ones(2), "w": jnp.arange(6.0).reshape(2, 3)}
    strided = dict(numpy_tree, w=np.asfortranarray(numpy_tree["w"]))
    swapped = dict(numpy_tree, w=numpy_tree["w"].astype(">f4"))
    half = jnp.ones(3, jnp.bfloat16)
    expected = state_sha256(numpy_tree, {})
    assert state_sha256(jax_tree, {}) == expected
    assert state_sha256(strided, {}) == expected
    assert state_sha256(swapped, {}) == expected
    assert state_sha256([half], {}) == state_sha256([np.asarray(half)], {})


@pytest.mark.parametrize(
    "other",
    [
        PARAMS | {"b": np.asarray([0.0, 1e-30])},
        PARAMS | {"b": np.zeros(2, np.float32)},
        PARAMS | {"b": np.zeros((1, 2))},
        {"encoder": PARAMS["encoder"], "c": PARAMS["b"]},
        {"encoder": PARAMS["encoder"]},
    ],
)
def test_the_hash_tells_trees_apart(other):
    assert state_sha256(other, {}) != state_sha256(PARAMS, {})


def test_the_hash_covers_batch_statistics_apart_from_parameters():
    stats = {"encoder": {"mean": np.ones(2)}}
    plain = state_sha256(PARAMS, {"encoder": {}})
    assert plain == state_sha256(PARAMS, {})
    found = {plain, state_sha256(PARAMS, stats), state_sha256(PARAMS, {"encoder": {"mean": 0.0}})}
    found.add(state_sha256(PARAMS | stats, {}))
    assert len(found) == 4


def test_the_hash_refuses_what_is_no_array():
    with pytest.raises(ValueError, match=r"params\['a'\] is no array of numbers but object"):
        state_sha256({"a": object()}, {})
