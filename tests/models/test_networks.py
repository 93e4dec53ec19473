"""The networks and the ensemble: padding, order, absent inputs, sizes, errors."""

import json
import random
from typing import Any

import pytest
import torch
from comparison import assert_same_probabilities
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pathosnet.models import (
    BranchOptions,
    Classified,
    EmotionNetwork,
    Ensemble,
    MaskedBatchNorm,
    make_inputs,
    network_from_config,
)

DIMS = {"vggish": 5, "ghostvlad": 6, "text": 4}
OPTIONS = BranchOptions(text_width=6, audio_width=8)


def randomised(model: Classified) -> Classified:
    """Batch norms with other values than those they begin with, and probabilities that differ between utterances."""
    for part in model.modules():
        if isinstance(part, MaskedBatchNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    model.eval()
    with torch.no_grad():  # logits of mean 0 and deviation 2 over utterances
        features = {name: torch.randn(50, 9, dim) for name, dim in model.input_dims.items()}
        lengths = {name: torch.randint(1, 10, (50,)) for name in features}
        nn.init.normal_(model.classifier.weight)
        model.classifier.weight.mul_(2 / model(**features, lengths=lengths).std(dim=0, keepdim=True).T)
        model.classifier.bias.sub_(model(**features, lengths=lengths).mean(dim=0))
    return model


def ensemble(temperature: float = 96.0, options: BranchOptions = OPTIONS) -> Ensemble:
    networks = {
        name: EmotionNetwork({name: DIMS[name], "text": DIMS["text"]}, 4, options=options)
        for name in ("vggish", "ghostvlad")
    }
    return Ensemble(networks, 4, temperature)


def models() -> dict[str, Classified]:
    return {
        "text": EmotionNetwork({"text": DIMS["text"]}, 4, options=OPTIONS),
        "voice": EmotionNetwork({"vggish": DIMS["vggish"]}, 4, options=OPTIONS),
        "one network": EmotionNetwork({"vggish": DIMS["vggish"], "text": DIMS["text"]}, 4, options=OPTIONS),
        "ensemble": ensemble(),
    }


def utterances(dims: dict[str, int], lengths: list[dict[str, int]]) -> list[dict[str, Tensor]]:
    return [{name: torch.randn(length[name], dim) for name, dim in dims.items()} for length in lengths]


def batched(
    chosen: list[dict[str, Tensor]], padding: float = 0.0, extra: int = 0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Pads a batch, with more than is needed and with garbage if asked to."""
    features, lengths = {}, {}
    for name in chosen[0]:
        sequences = [utterance[name] for utterance in chosen]
        padded = pad_sequence(sequences, batch_first=True, padding_value=padding)
        features[name] = nn.functional.pad(padded, (0, 0, 0, extra), value=padding)
        lengths[name] = torch.tensor([len(sequence) for sequence in sequences])
    return features, lengths


LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 23]


@torch.no_grad()
@pytest.mark.parametrize("kind", models())
@pytest.mark.parametrize("padding", [0.0, 1e6, float("nan")])
@pytest.mark.parametrize("extra", [0, 5])
def test_an_utterance_is_the_same_alone_in_a_batch_and_in_any_order(kind: str, padding: float, extra: int) -> None:
    model = randomised(models()[kind])
    dims = model.input_dims
    chosen = utterances(dims, [{name: random.choice(LENGTHS) for name in dims} for _ in range(8)])
    chosen += utterances(dims, [dict.fromkeys(dims, length) for length in LENGTHS])
    alone = torch.cat([model(**{n: x.unsqueeze(0) for n, x in utterance.items()}).softmax(1) for utterance in chosen])
    assert alone.std(dim=0).min() > 0.01, "equal outputs would prove nothing"
    for seed in range(3):
        order = random.Random(seed).sample(range(len(chosen)), len(chosen))
        features, lengths = batched([chosen[i] for i in order], padding, extra)
        together = model(**features, lengths=lengths).softmax(1)
        assert_same_probabilities(together, alone[order])


@torch.no_grad()
def test_lengths_and_masks_agree() -> None:
    model = randomised(ensemble())
    features, lengths = batched(utterances(DIMS, [dict.fromkeys(DIMS, n) for n in (7, 1, 4)]), padding=50.0)
    masks = {name: torch.arange(x.shape[1]) < lengths[name].unsqueeze(1) for name, x in features.items()}
    by_lengths = model(**features, lengths=lengths)
    assert torch.equal(model(**features, masks=masks), by_lengths)
    assert torch.equal(model(**features, masks={n: m.int() for n, m in masks.items()}), by_lengths)
    mixed = model(**features, masks={"text": masks["text"]}, lengths={n: lengths[n] for n in ("vggish", "ghostvlad")})
    assert torch.equal(mixed, by_lengths)
    assert not torch.allclose(model(**features), by_lengths), "the padding would count"


@torch.no_grad()
def test_without_lengths_all_frames_are_real() -> None:
    model = randomised(ensemble())
    features = {name: torch.randn(2, 5, dim) for name, dim in DIMS.items()}
    lengths = {name: torch.tensor([5, 5]) for name in DIMS}
    assert torch.equal(model(**features), model(**features, lengths=lengths))


@torch.no_grad()
@pytest.mark.parametrize("absent", ["text", "vggish"])
def test_an_absent_sequence_is_one_row_of_zeros(absent: str) -> None:
    model = randomised(ensemble())
    features = {name: torch.randn(2, 6, dim) for name, dim in DIMS.items() if name != absent}
    zeros = torch.zeros(2, 1, DIMS[absent])
    expected = model(**features, **{absent: zeros})
    assert torch.equal(model(**features), expected)
    assert torch.equal(model(**features, **{absent: None}), expected)
    assert torch.equal(model(**features, **{absent: zeros[:, :0]}), expected)
    assert torch.equal(model(**features, **{absent: zeros[:, :0]}, lengths={absent: torch.tensor([0, 0])}), expected)


@torch.no_grad()
@pytest.mark.parametrize("garbage", [0.0, 1e6, float("nan")])
def test_an_utterance_without_words_among_others_is_one_row_of_zeros(garbage: float) -> None:
    model = randomised(ensemble())
    features = {name: torch.randn(3, 6, dim) for name, dim in DIMS.items()}
    features["text"][1] = garbage
    together = model(**features, lengths={"text": torch.tensor([6, 0, 3])})
    alone = model(
        **{name: x[1:2] for name, x in features.items() if name != "text"}, text=torch.zeros(1, 1, DIMS["text"])
    )
    torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-6)


def test_training_does_not_see_padding_either() -> None:
    """Neither the outputs, nor the running statistics, nor the gradients."""
    options = BranchOptions(text_width=6, audio_width=8, dropout=0.0)
    chosen = utterances(DIMS, [dict(zip(DIMS, lengths, strict=True)) for lengths in ((1, 9, 4), (6, 2, 1), (3, 3, 7))])
    results = []
    for padding, extra in ((0.0, 0), (1e6, 1), (float("nan"), 6)):
        torch.manual_seed(1)
        model = ensemble(options=options, temperature=1.0).train()
        features, lengths = batched(chosen, padding, extra)
        logits = model(**features, lengths=lengths)
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
        gradients = {f"gradient of {name}": parameter.grad for name, parameter in model.named_parameters()}
        results.append({"logits": logits.detach(), **gradients, **dict(model.named_buffers())})
    for other in results[1:]:
        for name, value in results[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_training_statistics_are_those_of_the_real_frames() -> None:
    """The stem's first batch norm sees its convolution's output at every real frame and nothing else."""
    network = EmotionNetwork({"text": 4}, 4, options=BranchOptions(text_width=6, dropout=0.0)).train()
    chosen = utterances({"text": 4}, [{"text": n} for n in (1, 6, 3)])
    stem = network.branches["text"].stem
    with torch.no_grad():
        frames = torch.cat([stem.conv(utterance["text"].T.unsqueeze(0))[0].T for utterance in chosen])
    features, lengths = batched(chosen, padding=1e6, extra=3)
    network(**features, lengths=lengths)
    theirs = nn.BatchNorm1d(6, momentum=None)
    theirs(frames)
    torch.testing.assert_close(stem.conv_bn.running_mean, theirs.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(stem.conv_bn.running_var, theirs.running_var, rtol=1e-5, atol=1e-6)


def full_size(kind: str) -> Ensemble:
    text = {"text": 300} if kind == "multimodal" else {}
    return Ensemble(
        {
            "vggish": EmotionNetwork({"vggish": 128, **text}, 4),
            "ghostvlad": EmotionNetwork({"ghostvlad": 512, **text}, 4),
        },
        num_classes=4,
    )


@pytest.mark.parametrize(
    ("kind", "total", "statistics"), [("multimodal", 2_713_348, 9_216), ("voice", 2_081_284, 6_144)]
)
def test_the_ensembles_have_the_authors_number_of_parameters(kind: str, total: int, statistics: int) -> None:
    model = full_size(kind)
    trainable = sum(parameter.numel() for parameter in model.parameters())
    buffers = sum(value.numel() for name, value in model.named_buffers() if not name.endswith("num_batches"))
    assert buffers == statistics
    assert trainable + buffers == total


def test_the_papers_baseline_has_1_209_220_parameters() -> None:
    baseline = EmotionNetwork({"vggish": 128, "text": 300}, 4)
    counted = [value for name, value in baseline.state_dict().items() if not name.endswith("num_batches")]
    assert sum(value.numel() for value in counted) == 892_160 + 315_520 + 1_540 == 1_209_220


def test_the_ensembles_features_are_side_by_side_in_the_authors_order() -> None:
    model = full_size("multimodal").eval()
    assert model.feature_dim == 256 + 128 + 256 + 128
    assert model.temperature == 96.0
    features = {"vggish": torch.randn(2, 3, 128), "ghostvlad": torch.randn(2, 9, 512), "text": torch.randn(2, 4, 300)}
    inputs = make_inputs(model.input_dims, features)
    with torch.no_grad():
        parts = [
            model.networks[network].branches[name](features[name], inputs.masks[name])
            for network, name in (
                ("vggish", "vggish"),
                ("vggish", "text"),
                ("ghostvlad", "ghostvlad"),
                ("ghostvlad", "text"),
            )
        ]
        assert not torch.allclose(parts[1], parts[3]), "two text branches of their own"
        expected = torch.cat(parts, dim=1)
        torch.testing.assert_close(model.features(inputs), expected)
        logits = expected / 96.0 @ model.classifier.weight.T + model.classifier.bias
        torch.testing.assert_close(model(**features), logits)


@torch.no_grad()
def test_the_temperature_divides_the_features() -> None:
    model = randomised(ensemble(temperature=10.0))
    features = {name: torch.randn(2, 5, dim) for name, dim in DIMS.items()}
    cold = model(**features) - model.classifier.bias
    model.temperature = 20.0
    torch.testing.assert_close(2 * (model(**features) - model.classifier.bias), cold)


def test_an_ensembles_networks_have_no_classifier_of_their_own() -> None:
    model = ensemble()
    assert [name for name, _ in model.named_parameters() if "classifier" in name] == [
        "classifier.weight",
        "classifier.bias",
    ]


@pytest.mark.parametrize("kind", models())
def test_a_network_is_made_again_from_its_config(kind: str) -> None:
    model = randomised(models()[kind])
    config = json.loads(json.dumps(model.config()))
    again = network_from_config(config).eval()
    assert type(again) is type(model)
    again.load_state_dict(model.state_dict())
    assert again.config() == model.config()
    features = {name: torch.randn(2, 5, dim) for name, dim in model.input_dims.items()}
    assert torch.equal(again(**features), model(**features))


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ({}, {}, "expected at least one of vggish, text, ghostvlad, got none"),
        ({"text": None}, {}, "expected at least one of vggish, text, ghostvlad, got none"),
        ({"speech": torch.zeros(2, 3, 4)}, {}, "expected inputs out of vggish, text, ghostvlad, got 'speech'"),
        ({"text": torch.zeros(2, 3, 5)}, {}, r"text: expected shape \(batch, time, 4\), got \(2, 3, 5\)"),
        ({"text": torch.zeros(3, 4)}, {}, r"text: expected shape \(batch, time, 4\), got \(3, 4\)"),
        (
            {"text": torch.zeros(2, 3, 4), "vggish": torch.zeros(3, 3, 5)},
            {},
            r"expected one batch size, got \{'text': 2, 'vggish': 3\}",
        ),
        (
            {"text": torch.zeros(2, 3, 4)},
            {"masks": {"text": torch.ones(2, 4)}},
            r"text: expected a mask of shape \(2, 3\), got \(2, 4\)",
        ),
        (
            {"text": torch.zeros(2, 3, 4)},
            {"lengths": {"text": torch.ones(3)}},
            r"text: expected a mask of shape \(2, 3\), got \(3, 3\)",
        ),
        ({"text": torch.zeros(2, 3, 4)}, {"lengths": {"words": torch.ones(2)}}, "got 'words'"),
        ({"text": torch.zeros(2, 3, 4)}, {"masks": {"words": torch.ones(2, 3)}}, "got 'words'"),
    ],
)
def test_inputs_that_do_not_fit_are_an_error(features: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ensemble()(**features, **options)
