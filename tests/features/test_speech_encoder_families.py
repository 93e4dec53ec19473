"""Encoders that run in transformers or torchaudio: their hidden states, exactly, in any batch, and hostile folders."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.bundles import open_bundle
from pathosnet.features.acoustic.encoders.low_rank import low_rank
from pathosnet.features.acoustic.encoders.opening import open_speech_encoder
from pathosnet.features.acoustic.extractors.speech_encoder import SpeechEncoderExtractor, make_encoder_extractor
from pathosnet.recognizer.graphs import exported

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CONVOLUTIONS = {"conv_dim": (8,) * 7}
FAMILIES = {
    "wav2vec 2.0, group norm": ("Wav2Vec2", {"feat_extract_norm": "group", **CONVOLUTIONS}),
    "XLS-R, layer norm": (
        "Wav2Vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True, **CONVOLUTIONS},
    ),
    "HuBERT, group norm": ("Hubert", {"feat_extract_norm": "group", **CONVOLUTIONS}),
    "HuBERT, layer norm": ("Hubert", {"feat_extract_norm": "layer", "do_stable_layer_norm": True, **CONVOLUTIONS}),
    "WavLM, group norm": ("WavLM", {"feat_extract_norm": "group", **CONVOLUTIONS}),
    "WavLM, layer norm": ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True, **CONVOLUTIONS}),
    "data2vec-audio": ("Data2VecAudio", {"conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2, **CONVOLUTIONS}),
    "w2v-BERT 2.0": ("Wav2Vec2Bert", {"feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 5}),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A folder with a small random network of the family, and the network."""
    kind, options = FAMILIES[request.param]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **options})
    network = getattr(transformers, f"{kind}Model")(config).eval()
    folder = tmp_path_factory.mktemp(kind) / "small"
    network.save_pretrained(folder)
    is_bert = kind == "Wav2Vec2Bert"
    made = transformers.SeamlessM4TFeatureExtractor() if is_bert else transformers.Wav2Vec2FeatureExtractor()
    made.save_pretrained(folder)
    return folder, network, made


def noise(*seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [0.1 * torch.randn(round(16_000 * one), generator=generator) for one in seconds]


def test_hidden_states_are_those_of_transformers(family):
    folder, network, made = family
    (waveform,) = noise(1.0)
    inputs = made(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = network(**inputs, output_hidden_states=True).hidden_states
        encoder = open_speech_encoder(f"hf:{folder}")
        for layers in ((0, 1, 2, 3), (1, 2), (0,), (3,)):
            (states,) = encoder([waveform], layers)
            for number, found in zip(layers, states, strict=True):
                assert (found - expected[number][0]).abs().max() < 1e-5


def test_recordings_have_the_same_features_alone_together_and_in_any_order(family):
    extractor = make_encoder_extractor(f"hf:{family[0]}", rate=50)
    waveforms = noise(0.6, 1.0, 0.06, 0.01, 1.0)
    for order in ((0, 1, 2, 3, 4), (4, 2, 0, 3, 1)):
        together = extractor.extract([waveforms[i] for i in order])
        for place, i in enumerate(order):
            alone = extractor(waveforms[i])
            assert together[place].shape == alone.shape
            assert torch.allclose(together[place], alone, atol=1e-5)
    assert len(extractor(waveforms[3])) == 0


def test_held_encoders_are_opened_again(family, tmp_path):
    encoder = open_speech_encoder(f"hf:{family[0]}")
    encoder.save(tmp_path)
    assert open_speech_encoder(f"hf:{tmp_path}").source.sha256 == encoder.source.sha256


@pytest.mark.parametrize("layers", ["2", "0-2", "1,3", "learned"])
@pytest.mark.parametrize("unlocked", [1, 2, 9])
def test_unlocked_layers_go_on_to_the_same_features(family, layers, unlocked):
    extractor = make_encoder_extractor(f"hf:{family[0]}", layers=layers, rate=10, unlocked=unlocked)
    clips = noise(0.6, 1.0, 0.01)
    top = extractor.unlockable
    with torch.no_grad():
        found = top.trainable_sequences(extractor.extract(clips, "frozen"))
    for one, expected in zip(found, extractor.extract(clips), strict=True):
        torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-5)


def test_low_rank_changes_begin_at_nothing_and_are_added_to_the_weights(family):
    extractor = make_encoder_extractor(f"hf:{family[0]}", layers="1,3", rate=10, unlocked=2)
    hidden = extractor.extract(noise(0.6, 1.0), "frozen")
    top = extractor.unlockable
    names = list(top.state_dict())
    with torch.no_grad():
        before = top.trainable_sequences(hidden)
    with low_rank(top, 2):
        trained = list(top.unlocked_layer.parameters())
        assert {name.split(".")[-2] for name, value in top.named_parameters() if value.requires_grad} == {"default"}
        with torch.no_grad():
            torch.testing.assert_close(top.trainable_sequences(hidden), before, atol=0, rtol=0)
        for value in trained:
            torch.nn.init.normal_(value, std=0.3)
        changed = top.trainable_sequences(hidden)
        sum(one.square().sum() for one in changed).backward()
        assert all(value.grad.abs().sum() > 0 for value in trained)
    assert list(top.state_dict()) == names
    with torch.no_grad():
        merged = top.trainable_sequences(hidden)
    assert (merged[0] - before[0]).abs().max() > 0.1
    torch.testing.assert_close(merged, changed, atol=1e-5, rtol=1e-5)


def test_the_graph_computes_the_same_features_from_a_waveform(family):
    extractor = make_encoder_extractor(f"hf:{family[0]}", layers="1,2", rate=10)
    if "Wav2Vec2Bert" in type(family[1]).__name__:
        with pytest.raises(InputError, match="cannot be exported, only logmel"):
            exported(extractor)
        return
    graph = exported(extractor).eval()
    for samples in (graph.min_samples, graph.min_samples + 1, 7_777, 30_000):
        (waveform,) = noise(samples / 16_000)
        with torch.no_grad():
            torch.testing.assert_close(graph(waveform), extractor(waveform), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"num_hidden_layers": 10**7},
        {"num_hidden_layers": 5000},
        {"hidden_size": 1 << 19},
        {"conv_dim": [1 << 19] * 7},
        {"model_type": "llama"},
        {"num_hidden_layers": 4},
    ],
)
def test_configurations_that_ask_for_more_than_the_weights_hold_are_refused(tmp_path, change):
    network = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**{**SMALL, **CONVOLUTIONS}))
    network.save_pretrained(tmp_path / "small")
    path = tmp_path / "small" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="small"):
        open_speech_encoder(f"hf:{tmp_path / 'small'}")


def test_pickled_weights_are_read_without_running_code(tmp_path):
    network = transformers.HubertModel(transformers.HubertConfig(**{**SMALL, **CONVOLUTIONS})).eval()
    network.config.save_pretrained(tmp_path / "old")
    torch.save(network.state_dict(), tmp_path / "old" / "pytorch_model.bin")
    encoder = open_speech_encoder(f"hf:{tmp_path / 'old'}")
    assert encoder.num_layers == 3
    torch.save({"weights": SimpleNamespace()}, tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(InputError, match="old: cannot be opened"):
        open_speech_encoder(f"hf:{tmp_path / 'old'}")


def test_bundles_give_what_their_extract_features_gives(monkeypatch):
    torchaudio = pytest.importorskip("torchaudio")
    torch.manual_seed(0)
    model = torchaudio.models.wav2vec2_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=[(8, 10, 5), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 2, 2), (8, 2, 2)],
        extractor_conv_bias=False,
        encoder_embed_dim=16,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=16,
        encoder_pos_conv_groups=2,
        encoder_num_layers=3,
        encoder_num_heads=2,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=24,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    ).eval()
    monkeypatch.setattr(torchaudio.pipelines.Wav2Vec2Bundle, "get_model", lambda *_, **__: model)
    extractor = make_encoder_extractor("torchaudio:WAV2VEC2_BASE", layers="1-2", rate=50, level="none")
    assert extractor.name == "wav2vec2_base"
    waveforms = noise(0.5, 0.3)
    for waveform, found in zip(waveforms, extractor.extract(waveforms), strict=True):
        with torch.no_grad():
            expected, _ = model.extract_features(waveform[None], num_layers=2)
        assert torch.allclose(found, torch.stack(expected).mean(dim=0)[0], atol=1e-5)
    again = SpeechEncoderExtractor.from_config({**extractor.config(), "name": extractor.name})
    again.open()
    assert torch.equal(again(waveforms[0]), extractor(waveforms[0]))


def test_unknown_bundles_are_refused():
    pytest.importorskip("torchaudio")
    with pytest.raises(InputError, match=r"torchaudio:WAVLM: torchaudio has no such encoder; expected .*WAVLM_BASE"):
        open_bundle("WAVLM")


def test_without_torchaudio_the_message_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(InputError, match="torchaudio cannot be imported"):
        open_bundle("WAVLM_BASE")
