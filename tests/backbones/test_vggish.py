import pytest
import torch

from pathosnet.backbones import VGGish


@pytest.fixture(scope="module")
def pool() -> VGGish:
    torch.manual_seed(0)
    return VGGish("pool").eval()


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_convolutions_have_the_papers_4_499_712_parameters(pool: VGGish) -> None:
    assert num_parameters(pool) == 4_499_712


def test_the_dense_layers_have_67_641_472_more() -> None:
    with torch.device("meta"):
        model = VGGish("relu")
    dense = (12_288 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 128 + 128)
    assert num_parameters(model) == 4_499_712 + dense
    assert dense == 67_641_472


@pytest.mark.parametrize(("output", "dim"), [("relu", 128), ("softmax", 128), ("linear", 128), ("pool", 512)])
def test_the_length_of_a_vector_is_known_beforehand(output: str, dim: int) -> None:
    with torch.device("meta"):
        model = VGGish(output)  # type: ignore[arg-type]
        vectors = model(torch.empty(3, 96, 64))
    assert model.feature_dim == dim
    assert vectors.shape == (3, dim)


@torch.no_grad()
def test_an_example_alone_is_as_in_a_batch(pool: VGGish) -> None:
    examples = torch.randn(3, 96, 64)
    together = pool(examples)
    assert together.shape == (3, 512)
    for i in range(3):
        torch.testing.assert_close(pool(examples[i : i + 1])[0], together[i])


@torch.no_grad()
@pytest.mark.parametrize(("frames", "rows"), [(1, 1), (16, 1), (17, 2), (96, 6), (100, 7), (203, 13)])
def test_odd_sizes_are_rounded_up(pool: VGGish, frames: int, rows: int) -> None:
    hidden = pool.frozen_part(torch.zeros(2, frames, 64))
    assert pool.last_pool(hidden).shape == (2, 512, rows, 4)


@torch.no_grad()
def test_the_two_parts_make_the_whole(pool: VGGish) -> None:
    examples = torch.randn(2, 32, 64)
    assert torch.equal(pool.trainable_part(pool.frozen_part(examples)), pool(examples))


def test_nothing_below_the_unlocked_layer_is_in_the_trainable_part(pool: VGGish) -> None:
    assert pool.unlocked_layer is pool.conv4_2
    hidden = pool.frozen_part(torch.randn(1, 32, 64)).detach()
    pool.zero_grad()
    pool.trainable_part(hidden).sum().backward()
    with_gradient = {name for name, parameter in pool.named_parameters() if parameter.grad is not None}
    assert with_gradient == {"conv4_2.weight", "conv4_2.bias"}
    pool.zero_grad()
