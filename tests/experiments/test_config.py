import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pytest

from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.experiments.config import GROUPS, TrainConfig
from pathosnet.options import Names, descriptions, parse_pairs

PAPER = {
    "labels": ("happiness", "anger", "sadness", "neutral"),
    "epochs": 45,
    "learning_rate": 1e-3,
    "learning_rate_decay": 0.1,
    "min_learning_rate": 1e-5,
    "text_width": 128,
    "audio_width": 256,
    "num_blocks": 2,
    "num_folds": 5,
    "validation_fraction": 0.2,
    "fine_tune": True,
    "class_weights": "none",
    "label_smoothing": 0.0,
    "modality_dropout": 0.0,
    "augmentation": (),
}
AUTHORS_CODE = {
    "dropout": 0.5,
    "temperature": 96.0,
    "batch_norm_momentum": 0.01,
    "max_words": 50_000,
    "oov": "prefix",
    "window_frames": 30,
    "hop_frames": 15,
    "stft_hop": 160,
    "silence_removal": True,
    "top_db": 20.0,
}


@pytest.mark.parametrize(("option", "value"), [*PAPER.items(), *AUTHORS_CODE.items()])
def test_defaults_are_those_of_the_paper_and_the_authors_code(option, value):
    assert getattr(TrainConfig(), option) == value


def test_defaults_need_no_file():
    config = TrainConfig()
    assert config.acoustic == ("logmel",)
    assert config.text == ("hashed",)
    assert (config.vggish, config.ghostvlad, config.language_identifier) == (None, None, None)


def test_labels_keep_the_order_of_the_authors_outputs():
    assert TrainConfig().labels == PAPER_EMOTIONS == ("happiness", "anger", "sadness", "neutral")


def test_options_cannot_be_changed_after_they_were_checked():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 3


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        ("a", ("a",)),
        ("a,,b,", ("a", "b")),
        ("", ()),
        (["a", "b"], ("a", "b")),
        (("a ", " b"), ("a", "b")),
        ((1, 2), ("1", "2")),
    ],
)
def test_names_are_read_from_strings_and_lists(value, names):
    parsed = Names.parse(value)
    assert parsed == names
    assert isinstance(parsed, Names)


def test_lists_and_strings_become_tuples():
    config = TrainConfig(labels=["a", "b"], acoustic="logmel", text=["en=a.vec", "it=b.vec"], drop_labels="x,y")
    assert config.labels == ("a", "b")
    assert config.acoustic == ("logmel",)
    assert config.text == ("en=a.vec", "it=b.vec")
    assert config.drop_labels == ("x", "y")


def test_one_text_table_can_be_a_plain_string():
    assert TrainConfig(text="glove.txt").text == ("glove.txt",)
    assert TrainConfig(label="ira=anger").label == ("ira=anger",)


def test_none_stands_for_no_features():
    assert TrainConfig(acoustic="none").acoustic == ()
    assert TrainConfig(text="none").text == ()
    assert TrainConfig(text=("none",)).text == ()


def test_pairs_are_read_at_the_first_equals_sign():
    assert parse_pairs(("en=a=b.vec", "it=c.vec"), "--text") == {"en": "a=b.vec", "it": "c.vec"}
    assert parse_pairs((), "--label") == {}


@pytest.mark.parametrize("value", ["anger", "=anger", "ira=", ""])
def test_pairs_without_key_or_value_are_errors_that_name_the_option(value):
    with pytest.raises(InputError, match=f"--label: expected KEY=VALUE, got '{value}'"):
        parse_pairs((value,), "--label")


@pytest.mark.parametrize(
    "option",
    [
        "epochs",
        "patience",
        "batch_size",
        "learning_rate",
        "min_learning_rate",
        "temperature",
        "max_words",
        "text_width",
        "audio_width",
        "logmel_stack",
        "window_frames",
        "hop_frames",
        "stft_hop",
        "top_db",
        "num_nodes",
    ],
)
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_and_rates_are_above_zero(option, value):
    with pytest.raises(InputError, match=f"{option}: expected a number above 0, got {value}"):
        TrainConfig(**{option: value})


@pytest.mark.parametrize("option", ["dropout", "modality_dropout", "label_smoothing", "batch_norm_momentum"])
@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5])
def test_shares_are_from_zero_to_below_one(option, value):
    with pytest.raises(InputError, match=f"{option}: expected a number from 0 to below 1"):
        TrainConfig(**{option: value})


@pytest.mark.parametrize("option", ["num_blocks", "learning_rate_decay"])
def test_counts_and_decay_are_not_negative(option):
    with pytest.raises(InputError, match="expected 0 or more"):
        TrainConfig(**{option: -1})


@pytest.mark.parametrize("value", [0.0, 1.0, -0.2, 1.5])
def test_validation_fraction_lies_between_zero_and_one(value):
    with pytest.raises(InputError, match="validation_fraction: expected a number between 0 and 1"):
        TrainConfig(validation_fraction=value)


@pytest.mark.parametrize("options", [{"num_folds": 1}, {"fold": 5}, {"fold": -1}, {"num_folds": 3, "fold": 3}])
def test_fold_is_one_of_the_folds(options):
    with pytest.raises(InputError, match="fold: expected 0 to num_folds - 1"):
        TrainConfig(**options)


def test_unknown_acoustic_features_are_listed_with_the_known_ones():
    with pytest.raises(
        InputError,
        match=r"acoustic: expected logmel, vggish, ghostvlad, a speech encoder \(.*\), .* or none, got 'mfcc'",
    ):
        TrainConfig(acoustic="logmel,mfcc")


def test_acoustic_features_come_once():
    with pytest.raises(InputError, match="expected each name once, got logmel,logmel"):
        TrainConfig(acoustic="logmel,logmel")


@pytest.mark.parametrize("name", ["vggish", "ghostvlad"])
def test_pretrained_features_need_their_weights(name):
    with pytest.raises(InputError, match=f"acoustic feature {name}: needs its weights, --{name} FILE"):
        TrainConfig(acoustic=name)
    assert TrainConfig(acoustic=name, **{name: "weights.h5"}).acoustic == (name,)


def test_something_is_left_to_learn_from():
    with pytest.raises(InputError, match="acoustic and text are both none"):
        TrainConfig(acoustic="none", text="none")


@pytest.mark.parametrize("options", [{"acoustic": "none"}, {"text": "none"}])
def test_modality_dropout_needs_two_modalities(options):
    with pytest.raises(InputError, match="modality_dropout: expected acoustic and text features"):
        TrainConfig(modality_dropout=0.2, **options)


@pytest.mark.parametrize(
    "option", ["vggish_output", "oov", "early_stopping_metric", "class_weights", "augmentation", "split"]
)
def test_words_out_of_a_list_are_checked(option):
    with pytest.raises(InputError, match=f"{option}.*'Speakers'"):
        TrainConfig(**{option: "Speakers"})


@pytest.mark.parametrize("option", [field.name for field in dataclasses.fields(TrainConfig) if field.type is float])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_are_finite(option, value):
    with pytest.raises(InputError, match=option):
        TrainConfig(**{option: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "3"}, "epochs: expected a whole number, got '3'; write epochs=3"),
        ({"epochs": 3.5}, "epochs: expected a whole number, got 3.5"),
        ({"epochs": None}, "epochs: expected a whole number, got null"),
        ({"learning_rate": "1e-4"}, "learning_rate: expected a number, got '1e-4'; write learning_rate=0.0001"),
        ({"learning_rate": True}, "learning_rate: expected a number, got True"),
        ({"progress": "no"}, "progress: expected true or false, got 'no'; write progress=False"),
        ({"labels": 3}, "labels: expected a list of names, got 3"),
        ({"labels": [None]}, r"labels: expected a list of names, got \[None\]"),
        ({"vggish": 3.0j}, "vggish: expected text, got 3j"),
        ({"feature_options": []}, r"feature_options: expected names with values, got \[\]"),
    ],
)
def test_values_of_another_type_are_errors_that_say_what_was_meant(options, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        TrainConfig(**options)


def test_unknown_options_name_the_closest():
    with pytest.raises(InputError, match=r"^epoch: there is no such option; did you mean epochs\?$"):
        TrainConfig(epoch=3)
    with pytest.raises(InputError, match="did you mean batch_size"):
        TrainConfig().replace(batchsize=3)
    with pytest.raises(InputError, match="zzz: there is no such option"):
        TrainConfig(zzz=3)


def test_whole_numbers_are_numbers_and_numpys_too():
    config = TrainConfig(learning_rate=1, epochs=np.int64(3), dropout=np.float32(0.25), devices=2)
    assert (config.learning_rate, config.epochs, config.dropout, config.devices) == (1.0, 3, 0.25, "2")
    assert type(config.learning_rate) is float
    assert type(config.epochs) is int


def test_copies_have_other_values():
    config = TrainConfig(epochs=3)
    assert config.replace(seed=1) == dataclasses.replace(config, seed=1) == TrainConfig(epochs=3, seed=1)
    assert config.seed == 0
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


def test_a_dictionary_goes_into_json_and_back():
    config = TrainConfig(text=["en=a.vec", "it=b.vec"], augmentation="masks", workers=2)
    values = config.to_dict()
    assert values == dataclasses.asdict(config) | {
        name: list(value) for name, value in values.items() if isinstance(value, list)
    }
    assert TrainConfig(**json.loads(json.dumps(values))) == config


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainConfig)])
def test_null_in_a_file_means_the_default(name):
    assert TrainConfig.read({name: None}) == TrainConfig()


def test_files_may_spell_numbers_out():
    read = TrainConfig.read({"learning_rate": "1e-4", "epochs": "3", "progress": "false", "workers": "null"})
    assert read == TrainConfig(learning_rate=1e-4, epochs=3, progress=False)
    with pytest.raises(InputError, match="epochs: expected a whole number, got 'many'"):
        TrainConfig.read({"epochs": "many"})


def test_every_option_is_of_one_group_and_described():
    names = [field.name for group in GROUPS for field in dataclasses.fields(group)]
    assert names == [field.name for field in dataclasses.fields(TrainConfig)]
    assert descriptions(TrainConfig).keys() == set(names)
    assert all(issubclass(TrainConfig, group) for group in GROUPS)
