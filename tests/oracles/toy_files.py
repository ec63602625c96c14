"""Small data sets on disk in the form in which the real ones are published, drawn anew for each test."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ("signal", "noise", "margin", "gradient", "descent", "kernel", "lemma", "proof", "bound", "rate")


def write_cifar(folder, train=48, test=20, metadata=True):
    """Parquet files like those of ``uoft-cs/cifar10``: ``img`` as PNG bytes and ``label``; classes differ in colour."""
    import json

    from PIL import Image

    draws = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        labels = draws.integers(0, 10, count)
        rows = []
        for label in labels:
            noise = draws.integers(0, 60, (32, 32, 3))
            buffer = io.BytesIO()
            colour = np.array([label * 19, 190 - label * 19, (label % 2) * 150])
            Image.fromarray((noise + colour).astype(np.uint8)).save(buffer, "PNG")
            rows.append({"bytes": buffer.getvalue(), "path": None})
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        schema = pa.schema([("img", image), ("label", pa.int64())])
        if metadata:
            names = [str(label) for label in range(10)]
            features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
            schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        table = pa.table({"img": rows, "label": labels}, schema=schema)
        target = folder / "plain_text" / f"{split}-00000-of-00001.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, target)
    return folder


def write_text(folder, documents=60):
    """Parquet files like those of ``Skylion007/openwebtext`` and a small ``tokenizer.json`` of GPT-2's kind."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    draws = np.random.default_rng(0)
    texts = [" ".join(draws.choice(WORDS, draws.integers(20, 60))) for _ in range(documents)]
    (folder / "plain_text").mkdir(parents=True, exist_ok=True)
    for part, of in enumerate((texts[: documents // 2], texts[documents // 2 :])):
        pq.write_table(pa.table({"text": of}), folder / "plain_text" / f"train-{part:05d}-of-00002.parquet")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return texts
