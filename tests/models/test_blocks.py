"""Masked convolution, pooling, mean and batch normalization."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from pathosnet.models import AudioBranch, Branch, MaskedBatchNorm, ResidualBlock, Stem, TextBranch, masked_mean
from pathosnet.models.blocks import SpatialDropout, max_pool, pack

GARBAGE = [0.0, 1e6, -1e6, float("nan"), float("inf")]


def masked(lengths: list[int], time: int | None = None) -> Tensor:
    return torch.arange(time or max(lengths)) < torch.tensor(lengths).unsqueeze(1)


def zero_padded(x: Tensor, mask: Tensor) -> Tensor:
    """What parts within a branch hand each other, ``(batch, features, time)``."""
    return x.masked_fill(~mask.unsqueeze(1), 0.0)


def test_a_pair_is_pooled_and_an_odd_frame_stands_alone() -> None:
    x = torch.tensor([[[1.0, 3.0, -2.0, -5.0, -7.0]], [[-4.0, -3.0, -2.0, 9.0, 9.0]]])
    pooled, mask = max_pool(x, masked([5, 3]))
    assert pooled.tolist() == [[[3.0, -2.0, -7.0]], [[-3.0, -2.0, 0.0]]]  # not 9, which is padding
    assert mask.tolist() == [[True, True, True], [True, True, False]]


def test_the_mean_is_over_real_frames() -> None:
    x = torch.tensor([[[1.0, 2.0, 6.0]], [[4.0, 1e6, -50.0]]])
    assert masked_mean(x, masked([3, 1])).tolist() == [[3.0], [4.0]]


def concatenated(x: Tensor, mask: Tensor) -> Tensor:
    """The real frames of all utterances, ``(frames, features)``."""
    return x.transpose(1, 2)[mask]


@pytest.mark.parametrize("lengths", [[5, 2, 1], [4, 4], [1, 7], [2], [6, 3, 3, 1]])
def test_batch_norm_while_training_is_pytorchs_on_the_real_frames_alone(lengths: list[int]) -> None:
    ours = MaskedBatchNorm(4)
    # momentum None: the plain average of the batches so far, as ours is in the beginning
    theirs = nn.BatchNorm1d(4, eps=1e-3, momentum=None)
    with torch.no_grad():
        ours.weight.copy_(torch.rand(4) + 0.5)
        ours.bias.copy_(torch.randn(4))
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    mask = masked(lengths)
    for _ in range(3):
        x = torch.randn(len(lengths), 4, max(lengths)) * 3 + 1
        y = ours(zero_padded(x, mask), mask)
        torch.testing.assert_close(concatenated(y, mask), theirs(concatenated(x, mask)), rtol=1e-5, atol=1e-5)
        assert (y.transpose(1, 2)[~mask] == 0).all()
        torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-5, atol=1e-6)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(
        concatenated(ours(zero_padded(x, mask), mask), mask), theirs(concatenated(x, mask)), rtol=1e-5, atol=1e-5
    )


def test_batch_norm_becomes_an_exponential_average_after_100_batches() -> None:
    ours = MaskedBatchNorm(2)
    ours.num_batches.fill_(100)
    theirs = nn.BatchNorm1d(2, momentum=0.01)
    x, mask = torch.randn(3, 2, 5) + 4, masked([5, 2, 1])
    ours(zero_padded(x, mask), mask)
    theirs(concatenated(x, mask))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_batch_norm_gradients_are_pytorchs_on_the_real_frames_alone() -> None:
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3, eps=1e-3)
    mask = masked([4, 1, 2])
    x = torch.randn(3, 3, 4)
    weights = torch.randn(int(mask.sum()), 3)
    first, second = x.clone().requires_grad_(), concatenated(x, mask).clone().requires_grad_()
    (concatenated(ours(zero_padded(first, mask), mask), mask) * weights).sum().backward()
    (theirs(second) * weights).sum().backward()
    assert first.grad is not None
    assert second.grad is not None
    torch.testing.assert_close(concatenated(first.grad, mask), second.grad, rtol=1e-4, atol=1e-5)
    assert (first.grad.transpose(1, 2)[~mask] == 0).all()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-4, atol=1e-5)


def test_one_real_frame_in_the_whole_batch_is_normalised_to_the_bias() -> None:
    batch_norm = MaskedBatchNorm(2)
    mask = masked([1], time=3)
    y = batch_norm(zero_padded(torch.randn(1, 2, 3), mask), mask)
    assert y.abs().max() < 1e-5
    assert batch_norm.running_var.isfinite().all()


def test_batch_norm_in_evaluation_leaves_its_statistics_alone() -> None:
    batch_norm = MaskedBatchNorm(2).eval()
    before = {name: value.clone() for name, value in batch_norm.state_dict().items()}
    mask = masked([3, 1])
    batch_norm(zero_padded(torch.randn(2, 2, 3) + 5, mask), mask)
    assert all(torch.equal(value, before[name]) for name, value in batch_norm.state_dict().items())


def randomised(module: nn.Module) -> nn.Module:
    """Gives batch norms other values than those they begin with."""
    for part in module.modules():
        if isinstance(part, MaskedBatchNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module.eval()


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize(
    ("make", "padding"),
    [(lambda: Stem(3, 5, dropout=0.5), garbage) for garbage in GARBAGE]
    + [(lambda: ResidualBlock(3, dropout=0.5), 0.0)],  # what the stem and other blocks hand it
)
def test_stem_and_block_do_not_see_padding_and_give_zeros_there(
    make: Callable[[], nn.Module], padding: float, length: int
) -> None:
    part = randomised(make())
    x = torch.randn(1, 3, length)
    alone, mask_alone = part(x, masked([length]))
    assert alone.shape[2] == -(-length // 2)
    assert mask_alone.all()
    padded = torch.cat([x, torch.full((1, 3, 6), padding)], dim=2)
    y, mask = part(padded, masked([length], time=length + 6))
    torch.testing.assert_close(y[..., : alone.shape[2]], alone, rtol=1e-5, atol=1e-6)
    if isinstance(part, Stem):
        assert (y[..., alone.shape[2] :] == 0).all()
    assert mask.sum() == alone.shape[2]


@torch.no_grad()
@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_a_branch_does_not_see_padding(length: int, garbage: float) -> None:
    branch = randomised(Branch(3, 4))
    frames = torch.randn(1, length, 3)
    padded = torch.cat([frames, torch.full((1, 6, 3), garbage)], dim=1)
    torch.testing.assert_close(
        branch(padded, masked([length], time=length + 6)), branch(frames, masked([length])), rtol=1e-5, atol=1e-6
    )


def plain_branch(branch: Branch, frames: Tensor) -> Tensor:
    """The branch with PyTorch's own layers, for one utterance without padding."""

    def batch_norm(x: Tensor, layer: MaskedBatchNorm) -> Tensor:
        return nn.functional.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, training=False, eps=1e-3
        )

    def pool(x: Tensor) -> Tensor:
        return nn.functional.max_pool1d(x, 2, ceil_mode=True)

    x = frames.T.unsqueeze(0)
    x = batch_norm(pool(torch.relu(batch_norm(branch.stem.conv(x), branch.stem.conv_bn))), branch.stem.pool_bn)
    for block in branch.blocks:
        main = batch_norm(pool(block.conv2(block.conv1(x))), block.main_bn)
        x = torch.relu(main + batch_norm(pool(x), block.shortcut_bn))
    return x.mean(dim=2)[0]


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 17])
def test_a_branch_is_its_layers_one_after_the_other(length: int) -> None:
    branch = randomised(Branch(6, 4))
    frames = torch.randn(length, 6)
    ours = branch(frames.unsqueeze(0), masked([length]))
    torch.testing.assert_close(ours[0], plain_branch(branch, frames), rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("num_blocks", [0, 1, 3])
def test_the_number_of_blocks_is_an_option(num_blocks: int) -> None:
    branch = randomised(Branch(6, 4, num_blocks=num_blocks))
    assert len(branch.blocks) == num_blocks
    frames = torch.randn(9, 6)
    ours = branch(frames.unsqueeze(0), masked([9]))
    torch.testing.assert_close(ours[0], plain_branch(branch, frames), rtol=1e-5, atol=1e-6)


def test_spatial_dropout_drops_a_feature_over_the_whole_utterance() -> None:
    stem = Stem(4, 32, dropout=0.5).train()
    dropped = stem.dropout(torch.ones(5, 32, 7))
    assert ((dropped == 0).all(dim=2) | (dropped == 2).all(dim=2)).all()
    assert 0.2 < (dropped == 0).float().mean() < 0.8


@torch.no_grad()
def test_dropout_is_off_in_evaluation_and_on_in_training() -> None:
    branch = Branch(4, 8, dropout=0.5)
    frames, mask = torch.randn(2, 9, 4), masked([9, 5])
    branch.train()
    assert not torch.allclose(branch(frames, mask), branch(frames, mask))
    branch.eval()
    assert torch.equal(branch(frames, mask), branch(frames, mask))


@pytest.mark.parametrize(
    ("branch", "count"),
    [(AudioBranch(128), 892_160), (AudioBranch(512), 1_187_072), (TextBranch(), 315_520)],
    ids=["vggish", "ghostvlad", "text"],
)
def test_branches_have_the_authors_number_of_parameters(branch: Branch, count: int) -> None:
    """Keras' count: the statistics of the batch norms are among them."""
    counted = [value for name, value in branch.state_dict().items() if not name.endswith("num_batches")]
    assert sum(value.numel() for value in counted) == count


def test_branches_begin_with_keras_initial_values() -> None:
    branch = TextBranch()
    kernel = branch.stem.conv.weight
    limit = (6 / (3 * 300 + 3 * 128)) ** 0.5  # Glorot, uniform
    assert kernel.abs().max() <= limit
    assert kernel.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)
    assert (branch.stem.conv.bias == 0).all()


# Packed batches


def test_packed_utterances_lie_apart_and_aligned() -> None:
    frames = torch.arange(1.0, 13.0).reshape(2, 6, 1)
    packed = pack(frames, masked([3, 6]), num_pools=2)
    # Two pools: utterances begin at multiples of 4, and a gap remains after the first.
    assert packed.x.tolist() == [[[1, 2, 3, 0, 0, 0, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0]]]
    assert packed.mask.int().tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0]]
    assert packed.owners.tolist() == [0] * 8 + [1] * 8


@pytest.mark.parametrize("num_blocks", [0, 1, 2, 3])
@pytest.mark.parametrize("lengths", [[30], [37, 1, 2, 3, 8, 16, 15, 17, 30], [5, 5], list(range(1, 20))])
def test_packing_changes_nothing(num_blocks: int, lengths: list[int]) -> None:
    """Neither output, gradients nor running statistics, dropout included.

    There are always two frames to normalize: a single one becomes zero, where the gradient of a ReLU is up to rounding.
    """
    branch = Branch(6, 8, num_blocks, dropout=0.5).double()
    mask = masked(lengths)
    frames = torch.randn(len(lengths), max(lengths), 6, dtype=torch.float64)
    weights = torch.randn(len(lengths), 8, dtype=torch.float64)

    def results(forward: Callable[[Branch, Tensor, Tensor], Tensor]) -> list[Tensor]:
        copied = deepcopy(branch)
        torch.manual_seed(1)
        y = forward(copied, frames, mask)
        (y * weights).sum().backward()
        return [y, *(parameter.grad for parameter in copied.parameters()), *copied.buffers()]

    def padded(branch: Branch, frames: Tensor, mask: Tensor) -> Tensor:
        x, mask = branch.stem(frames.transpose(1, 2), mask)
        for block in branch.blocks:
            x, mask = block(x, mask)
        return masked_mean(x, mask)

    for ours, theirs in zip(results(Branch.forward), results(padded), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_spatial_dropout_is_pytorchs() -> None:
    x = torch.randn(5, 7, 3)
    results = []
    for dropout in (SpatialDropout(0.4), nn.Dropout1d(0.4)):
        torch.manual_seed(3)
        results.append(dropout(x))
        assert torch.equal(dropout.eval()(x), x)
    assert torch.equal(*results)


def test_dropout_drops_features_of_each_packed_utterance() -> None:
    owners = torch.tensor([0, 0, 0, 1, 1])
    y = SpatialDropout(0.5)(torch.ones(1, 100, 5), owners)[0]
    assert (y[:, :3] == y[:, :1]).all()
    assert (y[:, 3:] == y[:, 3:4]).all()
    assert not torch.equal(y[:, 0], y[:, 3])
    assert set(y.unique().tolist()) == {0.0, 2.0}
