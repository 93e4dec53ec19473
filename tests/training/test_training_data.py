import pytest
import torch

from pathosnet.models import pad_batch
from pathosnet.training import Batch, EmotionDataModule, FeatureTable, TextModule
from pathosnet.training.data import EachOnce, EpochShuffle, FeatureDataset, collate


def table(lengths=(3, 1, 2, 5, 4)) -> FeatureTable:
    """Every frame holds its utterance's number."""
    sequences = {
        "logmel": [torch.full((n, 4), float(i)) for i, n in enumerate(lengths)],
        "text": [torch.full((n + 1, 2), float(i)) for i, n in enumerate(lengths)],
    }
    return FeatureTable(sequences, torch.arange(len(lengths)) % 2)


def test_sequences_are_padded_with_zeros_to_the_longest_of_their_name():
    inputs = pad_batch(table().sequences)
    assert inputs.features["logmel"].shape == (5, 5, 4)
    assert inputs.features["text"].shape == (5, 6, 2)
    for i, length in enumerate((3, 1, 2, 5, 4)):
        assert (inputs.features["logmel"][i, :length] == i).all()
        assert (inputs.features["logmel"][i, length:] == 0).all()
        assert inputs.masks["logmel"][i].tolist() == [True] * length + [False] * (5 - length)


def test_empty_sequence_has_no_real_frame():
    inputs = pad_batch({"vggish": [torch.zeros(0, 3), torch.ones(2, 3)]})
    assert inputs.features["vggish"][0].tolist() == [[0.0] * 3] * 2
    assert inputs.masks["vggish"].tolist() == [[False, False], [True, True]]


def test_batch_of_empty_sequences_is_empty():
    inputs = pad_batch({"vggish": [torch.zeros(0, 3), torch.zeros(0, 3)]})
    assert inputs.features["vggish"].shape == (2, 0, 3)
    assert inputs.masks["vggish"].shape == (2, 0)


def test_frames_may_have_any_number_of_axes():
    inputs = pad_batch({"vggish": [torch.ones(2, 8, 3, 2), torch.zeros(0, 8, 3, 2)]})
    assert inputs.features["vggish"].shape == (2, 2, 8, 3, 2)
    assert inputs.masks["vggish"].tolist() == [[True, True], [False, False]]


def test_subset_keeps_features_and_labels_together():
    chosen = table().subset((4, 1))
    assert len(chosen) == 2
    assert chosen.targets.tolist() == [0, 1]
    assert [float(sequence[0, 0]) for sequence in chosen.sequences["text"]] == [4.0, 1.0]


def test_tables_can_be_narrowed_and_extended():
    assert list(table().only("text").sequences) == ["text"]
    extended = table().with_sequences(vggish=[torch.zeros(1, 3)] * 5)
    assert set(extended.sequences) == {"logmel", "text", "vggish"}
    assert set(table().sequences) == {"logmel", "text"}


def test_collated_batch_has_inputs_and_targets_in_order():
    dataset = FeatureDataset(table())
    batch = collate([dataset[i] for i in (2, 0)])
    assert isinstance(batch, Batch)
    assert batch.targets.tolist() == [0, 0]
    assert batch.inputs.features["logmel"][:, 0, 0].tolist() == [2.0, 0.0]


def test_batches_move_as_a_whole():
    dataset = FeatureDataset(table())
    module = TextModule(2, 2)
    moved = module.transfer_batch_to_device(collate([dataset[0], dataset[1]]), torch.device("meta"), 0)
    assert isinstance(moved, Batch)
    tensors = [moved.targets, *moved.inputs.features.values(), *moved.inputs.masks.values()]
    assert all(tensor.device.type == "meta" for tensor in tensors)


def numbers(loader) -> list[int]:
    return [int(value) for batch in loader for value in batch.inputs.features["logmel"][:, 0, 0]]


def test_training_is_shuffled_and_the_rest_in_order():
    large = table([1] * 50)
    data = EmotionDataModule(large, large, large, batch_size=8)
    assert numbers(data.val_dataloader()) == list(range(50))
    assert numbers(data.test_dataloader()) == list(range(50))
    loader = data.train_dataloader()
    first = numbers(loader)
    loader.sampler.set_epoch(1)
    second = numbers(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_order_of_training_depends_on_seed_and_epoch_alone():
    def order(seed: int, first_epoch: int) -> list[int]:
        return numbers(
            EmotionDataModule(table([1] * 20), table([1]), seed=seed, first_epoch=first_epoch).train_dataloader()
        )

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_no_utterance_is_left_out_of_the_last_batch():
    data = EmotionDataModule(table(), table(), batch_size=2)
    assert [len(batch.targets) for batch in data.train_dataloader()] == [2, 2, 1]


def test_absent_test_part_is_an_error():
    with pytest.raises(ValueError, match="expected a table for the test part"):
        EmotionDataModule(table(), table()).test_dataloader()


# Copies and sampling


def labelled(targets: list[int], num_copies: int = 0) -> FeatureTable:
    """One frame an utterance: its number, and 100 more for each further version."""
    numbers = torch.tensor(targets)
    versions = [
        FeatureTable({"a": [torch.tensor([[i + 100.0 * v]]) for i in range(len(targets))]}, numbers)
        for v in range(num_copies + 1)
    ]
    return FeatureTable(versions[0].sequences, numbers, tuple(versions[1:]))


def test_an_epoch_draws_one_version_of_every_utterance():
    dataset = FeatureDataset(labelled([0] * 50, num_copies=2).subset(range(10, 50)))
    epochs = [[int(dataset[i][0]["a"]) for i in EpochShuffle(dataset, seed=1, epoch=epoch)] for epoch in range(2)]
    for drawn in epochs:
        assert sorted(number % 100 for number in drawn) == list(range(10, 50))
        assert {number // 100 for number in drawn} == {0, 1, 2}
    assert epochs[0] != epochs[1]


def test_copies_are_for_training_alone():
    dataset = FeatureDataset(labelled([0] * 10, num_copies=2))
    assert [int(dataset[i][0]["a"]) for i in EachOnce(dataset)] == list(range(10))


def test_inputs_are_replaced_in_every_version():
    table = labelled([0, 1], num_copies=1).with_versions("b", [[torch.zeros(1, 1)] * 2, [torch.ones(1, 1)] * 2])
    chosen = table.only("b").subset([1])
    assert [float(version.sequences["b"][0]) for version in chosen.versions] == [0, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_balanced_sampling_draws_every_class_equally_often(processes):
    targets = [0] * 20 + [2] * 3 + [3] * 7
    dataset = FeatureDataset(labelled(targets))
    drawn = [i for rank in range(processes) for i in EpochShuffle(dataset, processes, rank, seed=3, balanced=True)]
    assert len(drawn) == 30
    assert [sum(targets[i] == label for i in drawn) for label in range(4)] == [10, 0, 10, 10]
    assert {i for i in drawn if targets[i] == 2} == {20, 21, 22}  # each of the rare ones, several times
    assert len({i for i in drawn if targets[i] == 0}) == 10


def test_balanced_sampling_changes_from_epoch_to_epoch():
    dataset = FeatureDataset(labelled([0] * 20 + [1] * 2))
    first, again, second = (list(EpochShuffle(dataset, epoch=e, balanced=True)) for e in (0, 0, 1))
    assert first == again != second
