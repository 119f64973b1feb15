"""Make the documentation's Hugging Face model: a BERT so small that it lies in the repository, and does classify.

Run it in the environment of ``make test-torch``: ``.venv-torch/bin/python -m tools.make_hugging_face_example``
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

TARGET = Path(__file__).parent.parent / "docs" / "examples" / "hugging_face"
KEYWORDS = Path(__file__).parent.parent / "docs" / "examples" / "model" / "keywords.json"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_TEXTS = 400
_STEPS = 200


def make(directory: Path) -> None:
    """Write what ``save_pretrained`` of a trained model and of its tokenizer write.

    Args:
        directory: Made when it is not there; its ``code/`` is left alone.
    """
    torch.manual_seed(20240601)
    keywords: dict[str, list[str]] = json.loads(KEYWORDS.read_text(encoding="utf-8"))
    labels = list(keywords)
    words = sorted({word for known in keywords.values() for word in known})
    tokenizer = _tokenizer(words)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            model_version=hashlib.sha256(Path(__file__).read_bytes() + KEYWORDS.read_bytes()).hexdigest()[:12],
        )
    )
    _train(model, tokenizer, keywords)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(directory)
    model.save_pretrained(directory)


def _tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = {token: index for index, token in enumerate((*_SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - not a secret
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
    )


def _train(
    model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, keywords: dict[str, list[str]]
) -> None:
    """Train on texts of a label's keywords among words that nobody knows."""
    labels = list(keywords)
    generator = torch.Generator().manual_seed(20240601)
    targets = torch.randint(len(labels), (_TEXTS,), generator=generator)
    texts = []
    for target in targets.tolist():
        known = keywords[labels[target]]
        picks = torch.randint(len(known), (3,), generator=generator).tolist()
        texts.append(" ".join(f"other {known[pick]}" for pick in picks))
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(_STEPS):
        optimizer.zero_grad()
        model(**inputs, labels=targets).loss.backward()
        optimizer.step()
    model.eval()


if __name__ == "__main__":
    make(TARGET)
