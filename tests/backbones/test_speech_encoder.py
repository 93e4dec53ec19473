import pytest
import torch
from speech_encoders import SHAPE, random_whisper

from pathosnet.backbones.speech_encoder import MAX_LAYERS, WhisperEncoder, WhisperShape, attend, attend_together


def mels(*frames: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(80, count, generator=generator) for count in frames]


@pytest.mark.parametrize("layers", [(0,), (3,), (0, 1, 2, 3), (1, 2)])
def test_hidden_states_are_those_of_transformers(layers):
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1
    )
    encoder = random_whisper()
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    theirs.load_state_dict(encoder.state_dict())
    (mel,) = mels(3000)
    with torch.no_grad():
        expected = theirs(mel[None], output_hidden_states=True).hidden_states
    (states,) = encoder([mel], layers)
    assert len(expected) == 4
    for number, found in zip(layers, states, strict=True):
        assert (found - expected[number][0]).abs().max() < 1e-5


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 1, 4, 0, 2)])
def test_a_recording_has_the_same_states_alone_in_a_batch_and_in_any_order(order):
    encoder, several = random_whisper(), mels(1, 2, 333, 90, 90)
    together = encoder([several[i] for i in order], (1, 3))
    for place, i in enumerate(order):
        (alone,) = encoder([several[i]], (1, 3))
        assert alone.shape == (2, -(-several[i].shape[1] // 2), 16)
        assert (together[place] - alone).abs().max() < 1e-5


def test_the_ways_of_a_gpu_give_the_same():
    encoder, several = random_whisper(), mels(1, 2, 333, 90, 91)
    for found, mel in zip(encoder.embed_together(several), several, strict=True):
        torch.testing.assert_close(found, encoder.embed(mel), atol=1e-6, rtol=1e-5)
    lengths = [4, 1, 30]
    parts = [torch.randn(35, 2, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    alone = [attend([part[None] for part in own])[0] for own in zip(*(p.split(lengths) for p in parts), strict=True)]
    torch.testing.assert_close(attend_together(parts, lengths), torch.cat(alone), atol=1e-6, rtol=1e-5)


def test_layers_above_the_highest_that_is_wanted_are_not_computed(monkeypatch):
    encoder = random_whisper()
    called = []
    for number, layer in enumerate(encoder.layers, 1):
        layer.register_forward_hook(lambda *_, number=number: called.append(number))
    encoder(mels(10), (1, 2))
    assert called == [1, 2]


def test_states_go_on_from_those_of_a_layer():
    encoder, (mel,) = random_whisper(), mels(50)
    (states,) = encoder([mel], (1, 2, 3))
    assert torch.equal(encoder.states_from(states[0], [25], (2, 3), start=1), states[1:])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_layers": 0}, "num_layers: expected a whole number from 1 to 100, got 0"),
        ({"num_layers": MAX_LAYERS + 1}, "num_layers: expected a whole number from 1 to 100, got 101"),
        ({"dim": 1 << 40}, "dim: expected a whole number from 1 to 16,384"),
        ({"dim": "512"}, "dim: expected a whole number"),
        ({"dim": 510}, "dim: expected a multiple of 8 heads, got 510"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        WhisperShape(**sizes)


def test_whisper_base_has_20_6_million_parameters():
    with torch.device("meta"):
        encoder = WhisperEncoder(WhisperShape())
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 20_590_592
    assert SHAPE.num_positions == 1500
