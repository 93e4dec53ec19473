import pytest
import torch

from pathosnet.backbones import ThinResNet34
from pathosnet.backbones.thin_resnet34 import GhostVLAD, l2_normalize


@pytest.fixture(scope="module")
def model() -> ThinResNet34:
    torch.manual_seed(0)
    return ThinResNet34().eval()


def test_it_has_7_678_410_weights_statistics_included(model: ThinResNet34) -> None:
    counted = [value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert sum(value.numel() for value in counted) == 7_678_410


def test_ghost_clusters_are_dropped() -> None:
    """By hand: one cluster and one ghost, features of length 2, two frames."""
    pool = GhostVLAD(num_clusters=1, num_ghosts=1, feature_dim=2)
    pool.centers = torch.nn.Parameter(torch.tensor([[1.0, 0.0], [50.0, 50.0]]))
    features = torch.tensor([[[4.0, 1.0], [0.0, 6.0]]])  # frames (4, 0) and (1, 6)
    scores = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])  # each frame belongs to both in equal parts
    # ½·((4, 0) − (1, 0)) + ½·((1, 6) − (1, 0)) = (1.5, 3), of length 1: (1, 2) / √5
    expected = torch.tensor([[1.0, 2.0]]) / 5**0.5
    torch.testing.assert_close(pool(features, scores), expected)


def test_frames_that_belong_to_ghosts_do_not_count() -> None:
    pool = GhostVLAD(num_clusters=2, num_ghosts=1, feature_dim=3)
    features, scores = torch.randn(1, 3, 4), torch.randn(1, 3, 4)
    noise, to_the_ghost = torch.randn(1, 3, 2), torch.tensor([[[-80.0] * 2, [-80.0] * 2, [0.0] * 2]])
    with_noise = pool(torch.cat([features, noise], dim=2), torch.cat([scores, to_the_ghost], dim=2))
    torch.testing.assert_close(with_noise, pool(features, scores))


def test_the_order_of_frames_does_not_matter_to_the_pooling() -> None:
    pool = GhostVLAD(num_clusters=8, num_ghosts=2, feature_dim=5)
    features, scores = torch.randn(2, 5, 9), torch.randn(2, 10, 9)
    order = torch.randperm(9)
    torch.testing.assert_close(pool(features[..., order], scores[..., order]), pool(features, scores))


def test_each_cluster_has_length_1() -> None:
    pool = GhostVLAD(num_clusters=4, num_ghosts=2, feature_dim=5)
    pooled = pool(torch.randn(3, 5, 9), torch.randn(3, 6, 9))
    assert pooled.shape == (3, 20)
    torch.testing.assert_close(pooled.unflatten(1, (4, 5)).norm(dim=2), torch.ones(3, 4))


def test_a_zero_vector_stays_zero() -> None:
    assert l2_normalize(torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2
    torch.testing.assert_close(l2_normalize(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]))


@torch.no_grad()
@pytest.mark.parametrize(("frames", "columns"), [(2, 1), (3, 1), (16, 1), (30, 2), (33, 2), (35, 3)])
def test_any_number_of_frames_from_two_makes_one_vector(model: ThinResNet34, frames: int, columns: int) -> None:
    spectrograms = torch.randn(2, 257, frames)
    assert model.frozen_part(spectrograms).shape == (2, 512, 7, columns)
    vectors = model(spectrograms)
    assert vectors.shape == (2, model.feature_dim) == (2, 512)
    assert (vectors >= 0).all()


@torch.no_grad()
def test_a_window_alone_is_as_in_a_batch(model: ThinResNet34) -> None:
    spectrograms = torch.randn(3, 257, 16)
    together = model(spectrograms)
    for i in range(3):
        torch.testing.assert_close(model(spectrograms[i : i + 1])[0], together[i], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_two_parts_make_the_whole(model: ThinResNet34) -> None:
    spectrograms = torch.randn(2, 257, 16)
    assert torch.equal(model.trainable_part(model.frozen_part(spectrograms)), model(spectrograms))


def test_nothing_below_the_unlocked_layer_is_in_the_trainable_part(model: ThinResNet34) -> None:
    assert model.unlocked_layer is model.x_fc
    hidden = model.frozen_part(torch.randn(1, 257, 16)).detach()
    model.zero_grad()
    model.trainable_part(hidden).sum().backward()
    with_gradient = {
        name.partition(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    assert with_gradient == {"x_fc", "gvlad_center_assignment", "gvlad_pool", "fc6"}
    model.zero_grad()
