"""Encoders of text small enough to make in a moment, with random weights."""

from pathlib import Path

import torch

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] ciao no the door wonderful day go away now all is lost ##s ##or . ! 0 1 2"


def write_bert(folder: Path, layers: int = 2, positions: int = 12, seed: int = 0) -> Path:
    """BERT of dimension 16 that reads WordPiece pieces, ten of a text and two of its own at once."""
    import transformers

    torch.manual_seed(seed)
    vocabulary = {piece: i for i, piece in enumerate(PIECES.split())}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        initializer_range=0.5,
    )
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return _save(folder, transformers.BertModel(config), transformers.BertTokenizerFast.from_pretrained(folder))


def write_xlm_roberta(folder: Path, positions: int = 14) -> Path:
    """XLM-R of dimension 16 that reads unigram pieces, of which ▁ marks a word's beginning."""
    import tokenizers
    import transformers

    torch.manual_seed(1)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*special, "▁ciao", "▁no", "▁", *"acinos"]
    made = tokenizers.Tokenizer(
        tokenizers.models.Unigram([(piece, -0.1 * i) for i, piece in enumerate(pieces)], unk_id=3)
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    config = transformers.XLMRobertaConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        pad_token_id=1,
        initializer_range=0.5,
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    return _save(folder, transformers.XLMRobertaModel(config), tokenizer)


def write_into_hub_cache(cache: Path, name: str, commit: str, **options: int) -> Path:
    """A folder as the hub's cache has it; the branch main points to it."""
    top = cache / f"models--{name.replace('/', '--')}"
    (top / "refs").mkdir(parents=True, exist_ok=True)
    (top / "refs" / "main").write_text(commit)
    return write_bert(top / "snapshots" / commit, **options)


def _save(folder: Path, model, tokenizer) -> Path:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
