"""The run folder."""

import collections
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small
from tests.training import toy
from tests.training.toy import config_of
from tfvideogan import models
from tfvideogan.config import Config, UserError, from_flags, to_flags
from tfvideogan.gan import GAN
from tfvideogan.training import checkpoints, run_folder
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.run_folder import Run, append_records, read_records


def run_of(folder: Path, config: Config, gan: GAN | None = None, training: bool = True) -> Run:
    gan, count = gan or models.build(config), tf.Variable(0, dtype=tf.int64, trainable=False)
    return Run(str(folder), config, gan, ("a",), make_optimizers(gan, count) if training else None, count)


@pytest.mark.parametrize("name, precision", [("tgan", "float32"), ("vgan", "mixed_float16")])
def test_a_checkpoint_brings_every_variable_back(tmp_path, name, precision):
    config = small(name, precision=precision)
    run = run_of(tmp_path, config)
    assert len(run.variables) > len(run.gan.variables)
    for number, variable in enumerate(run.variables.values()):
        variable.assign(tf.cast(tf.fill(variable.shape, number), variable.dtype))
    run.save()
    for training in (True, False):  # and as after training
        other = run_of(tmp_path, dataclasses.replace(config, seed=1), training=training)
        assert other.restore()
        for name, variable in other.variables.items():
            np.testing.assert_array_equal(variable, run.variables[name], err_msg=name)
    assert training or len(other.variables) < len(run.variables)


@pytest.mark.parametrize("name", models.names())
def test_every_variable_of_a_model_is_in_its_checkpoint_under_a_path_of_attributes(tmp_path, name):
    run = run_of(tmp_path, small(name))
    held = {id(variable) for variable in run.variables.values()}
    assert all(id(variable.value) in held for part in (run.gan,) for variable in part.variables)
    assert not [name for name in run.variables if re.search(r"_\d+(/|$)", name)]  # Keras numbers its layers: conv_17
    with_part = collections.Counter(name.partition("/")[0] for name in run.variables)
    assert with_part["g_optimizer"] == len(run.gan.generator.trainable_variables) * (1 if name == "tgan" else 2) + 1


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    config = small("dvdgan")
    run = run_of(tmp_path, config, training=False)
    checkpoints.save(tmp_path / "checkpoints", 1, {"step": run.step}, keep=1)
    with pytest.raises(
        UserError, match=r"ckpt-1: does not hold the variables of this dvdgan: it lacks best, ema_generator/\S+, \S+ and \d+ more"
    ):
        run.restore()


class Two(keras.Model):
    """Two layers of the same shape, in an attribute each."""

    def __init__(self, *names: str):
        super().__init__()
        for name in names:
            setattr(self, name, keras.layers.Dense(3))
            getattr(self, name).build([None, 3])
        self.more = [{"norm": keras.layers.BatchNormalization()}]
        self.more[0]["norm"].build([None, 3])
        self.built = True


def gan_of(*names: str) -> SimpleNamespace:
    return SimpleNamespace(generator=Two(*names), ema_generator=Two(*names))


def test_the_order_of_attributes_does_not_matter_and_their_names_do(tmp_path):
    config = small("vgan")
    run = run_of(tmp_path, config, gan_of("first", "second"), training=False)
    run.save()
    turned = run_of(tmp_path, config, gan_of("second", "first"), training=False)
    assert turned.restore()
    for name, variable in run.variables.items():
        np.testing.assert_array_equal(turned.variables[name], variable, err_msg=name)
    assert "generator/first/kernel" in run.variables and "generator/more/0/norm/moving_mean" in run.variables
    renamed = run_of(tmp_path, config, gan_of("first", "third"), training=False)
    before = {name: variable.numpy() for name, variable in renamed.variables.items()}
    told = r"it lacks ema_generator/third/bias, .* and 1 more; it has, and the model has not, ema_generator/second/bias, .* and 1 more$"
    with pytest.raises(UserError, match=told):
        renamed.restore()
    for name, variable in renamed.variables.items():
        np.testing.assert_array_equal(variable, before[name])


def test_two_layers_of_one_shape_that_change_places_are_refused(tmp_path):
    class Nested(keras.Model):
        def __init__(self, turned: bool):
            super().__init__()
            inner, outer = keras.layers.Dense(3), keras.layers.Dense(3)
            self.blocks, self.head = ([{"head": inner}], outer) if turned else ([{"conv": inner}], outer)
            for layer in (inner, outer):
                layer.build([None, 3])

    def nested(turned: bool) -> Run:
        return run_of(tmp_path, small("vgan"), SimpleNamespace(generator=Nested(turned), ema_generator=Nested(turned)), training=False)

    nested(False).save()
    with pytest.raises(UserError, match="it lacks ema_generator/blocks/0/head/bias, "):
        nested(True).restore()


def test_a_variable_with_two_owners_or_none_is_refused():
    network = Two("first", "second")
    network.third = network.first
    with pytest.raises(ValueError, match=r"third/kernel of \S+ is first/kernel too"):
        checkpoints.paths(network)
    network = Two("first")
    network._track_variable(keras.Variable(0.0, name="lost"))
    with pytest.raises(ValueError, match=r"no attribute of \S+ leads to .*lost"):
        checkpoints.paths(network)


def test_old_checkpoints_go_and_those_of_later_steps_which_were_damaged(tmp_path):
    variables = {"step": tf.Variable(7)}
    folder = tmp_path / "a [b] *?\\ c"
    for step in (1, 2, 10, 12, 11):
        checkpoints.save(folder, step, variables, keep=2)
    assert [prefix.name for prefix in checkpoints.found(folder)] == ["ckpt-11", "ckpt-10"]
    assert {file.name for file in folder.iterdir()} == {f"ckpt-{n}.{kind}" for n in (10, 11) for kind in ("index", "data-00000-of-00001")}
    assert checkpoints.read(folder / "ckpt-11", ["step"])["step"] == 7


def test_flags_hold_every_field():
    config = small("dvdgan", flip=True)
    lines = to_flags(config).splitlines()
    assert len(lines) == len(dataclasses.fields(config))
    assert "--flip=true" in lines and "--beta_2=0.999" in lines


def test_flags_of_earlier_versions_are_read_under_their_new_names():
    config = small("dvdgan", g_attention=8, d_attention=8)
    lines = [line for line in to_flags(config).splitlines() if "_attention" not in line]
    assert from_flags("\n".join(["# by hand", "", *lines, "--attention=8"])) == from_flags(to_flags(config))


def claim(folder: Path, labels: tuple[str, ...], files: tuple[str, ...] = ()) -> None:
    run = Run(str(folder), config_of(), toy.Model(config_of()), labels)
    try:
        run.claim(files)
    finally:
        run._locked.close() if hasattr(run, "_locked") else None


@pytest.mark.parametrize(
    "labels, told",
    [
        (("run", "jump"), "the run has 2 classes, --data_dir= has 2; new: jump; gone: walk"),
        (("run", "skip", "walk"), "the run has 2 classes, --data_dir= has 3; new: skip"),
        (("walk", "run"), "the run has 2 classes, --data_dir= has 2; they are in another order"),
        (("run",), "gone: walk"),
    ],
)
def test_other_classes_are_named_and_refused_and_nothing_is_written(labels, told, tmp_path):
    claim(tmp_path, ("run", "walk"), ("a\t1",))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != ".lock"}
    with pytest.raises(UserError, match=rf"^--workdir=\S+: .*{told}.*expected another --workdir"):
        claim(tmp_path, labels, ("b\t1",))
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name != ".lock"}


@pytest.mark.parametrize("labels", [("\u2028run", "wa\x85lk"), ("a\x0bb", "c\x1cd"), ("caf\xe9", "\N{SNOWMAN} ")])
def test_classes_are_those_of_the_run_whatever_their_names(labels, tmp_path):
    for _ in range(2):
        claim(tmp_path, labels, (f"{labels[0]}/1.mp4\t9 frames of 64x48",))


def test_what_is_no_measurement_is_left_out_with_a_word(tmp_path, caplog):
    claim(tmp_path, ("a",))
    append_records(tmp_path, 1, [{"metric": "fid", "value": 2.0}])
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(b'no json\n[1]\n{"value": 1}\n\xff\n{"step": 2, "metric": "f\xc3\xa9"}\n{"step": 3, "val')
    with caplog.at_level("WARNING", logger="absl"):
        assert read_records(tmp_path) == [{"step": 1, "metric": "fid", "value": 2.0}, {"step": 2, "metric": "f\xe9"}]
    assert [int(number) for number in re.findall(r"line (\d+) is no measurement", caplog.text)] == [2, 3, 4, 5, 7]
    run = Run(str(tmp_path), config_of(), toy.Model(config_of()), ("a",))
    run.watched.assign(1)
    run.forget_later_records()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "metric": "fid", "value": 2.0}\n'


@pytest.mark.parametrize(
    "before, kept", [('{"step": 1, "metric": "a"}\n', 1), ('{"step": 1, "metric": "a"}\n{"step": 2, "met', 1), ("", 0)]
)
def test_what_is_measured_after_a_line_was_cut_off_is_not_lost_with_it(before, kept, tmp_path, caplog):
    (tmp_path / "metrics.jsonl").write_text(before)
    append_records(tmp_path, 3, [{"metric": "f\xe9"}])
    append_records(tmp_path, 4, [])
    assert read_records(tmp_path) == [{"step": 1, "metric": "a"}] * kept + [{"step": 3, "metric": "f\xe9"}]
    assert len(caplog.messages) == before.endswith("met")


@pytest.mark.parametrize("content", [None, "", "\0\0\0", "# --model=toy\n"])
def test_a_run_whose_settings_are_lost_is_refused_and_left_as_it_is(content, trained, tmp_path):
    trained("run", config_of(steps=1))
    file = tmp_path / "run" / "run.flags"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    with pytest.raises(UserError, match=r"^\S+run.flags: .*; expected the run's settings: put a copy of it there"):
        trained("run", config_of(steps=2))
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}


def test_settings_that_were_cut_off_before_the_first_checkpoint_are_written_anew(tmp_path):
    claim(tmp_path, ("a",))
    (tmp_path / "run.flags").write_text("")
    claim(tmp_path, ("a",))
    assert "--model=" in (tmp_path / "run.flags").read_text()


def test_a_checkpoint_that_goes_while_it_is_read_is_not_damaged(tmp_path, monkeypatch, caplog):
    """As where a trainer keeps one, and an evaluation looks at the same time."""
    config = config_of(keep_checkpoints=1)
    run, other = (Run(str(tmp_path), config, toy.Model(config), ("a",)) for _ in range(2))
    run.step.assign(1)
    run.save()
    read = checkpoints.read

    def slowly(prefix: Path, names: list[str]) -> dict[str, np.ndarray]:
        if prefix.name == "ckpt-1":
            run.step.assign(2)
            run.save()
        return read(prefix, names)

    monkeypatch.setattr(checkpoints, "read", slowly)
    assert other.restore() and other.done() == 2 and not caplog.messages


def test_of_a_folder_that_is_made_a_run_what_others_have_there_stays(tmp_path):
    for name in ("mine.tmp", "folder.tmp/a", ".export.abc/saved_model.pb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    claim(tmp_path, ("a",))
    assert (tmp_path / "mine.tmp").exists() and (tmp_path / "folder.tmp" / "a").exists() and not (tmp_path / ".export.abc").exists()


def test_of_made_up_clips_none_came_or_went(tmp_path, caplog):
    for _ in range(2):
        claim(tmp_path, ("a",))
    assert not caplog.messages


def test_videos_that_came_went_or_changed_are_named(tmp_path, caplog):
    claim(tmp_path, ("run",), ("run/1.mp4\t9 frames of 64x48", "run/2.mp4\t9 frames of 64x48", "run/3.mp4\t9 frames of 64x48"))
    claim(tmp_path / "odd", ("run",), ("run/a\tb\nc.mp4\t9 frames of 64x48",))
    claim(tmp_path / "odd", ("run",), ("run/a\tb\nc.mp4\t9 frames of 64x48",))
    claim(tmp_path, ("run",), ("run/3.mp4\t9 frames of 64x48", "run/2.mp4\t9 frames of 64x48", "run/1.mp4\t9 frames of 64x48"))
    assert "other clips" not in caplog.text  # another order of the same
    with caplog.at_level("WARNING", logger="absl"):
        claim(tmp_path, ("run",), ("run/1.mp4\t8 frames of 64x48", "run/3.mp4\t9 frames of 64x48", "run/4.mp4\t9 frames of 64x48"))
    assert caplog.messages[-1].endswith("of the data set's files 1 new (run/4.mp4), 1 gone (run/2.mp4), 1 changed (run/1.mp4)")
    caplog.clear()
    with caplog.at_level("WARNING", logger="absl"):
        claim(tmp_path, ("run",), ())  # now made up
    assert "3 gone" in caplog.text
    (tmp_path / "videos.tsv").unlink()  # as of an earlier version
    caplog.clear()
    claim(tmp_path, ("run",), ("run/1.mp4\t8 frames of 64x48",))
    assert not caplog.messages and (tmp_path / "videos.tsv").read_text() == "run/1.mp4\t8 frames of 64x48\n"


@pytest.mark.parametrize("name", ["logs", "metrics.jsonl", "checkpoints/best"])
def test_a_run_of_which_a_part_cannot_be_written_is_refused_before_it_goes_on(name, tmp_path):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.mkdir() if "." in name else place.write_text("")
    with pytest.raises(UserError, match=rf"^--workdir=\S+{name}: is a f"):
        claim(tmp_path, ("run",))
    assert not (tmp_path / "run.flags").exists()


def test_of_evaluations_that_were_repeated_the_last_is_kept(tmp_path):
    for step, truncation, value in ((2, 1.0, 5.0), (4, 1.0, 3.0), (4, 0.5, 2.0), (4, 1.0, 2.5)):
        run_folder.append_records(tmp_path, step, [{"metric": "fid", "value": value, "protocol": {"truncation": truncation}}])
    assert [record["value"] for record in run_folder.scores_of(tmp_path, 4)] == [2.5, 2.0]
