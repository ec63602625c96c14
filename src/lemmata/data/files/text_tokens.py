"""Text as one long row of tokens on disk, read through memory mapping: OpenWebText in GPT-2's vocabulary.

Gokaslan, Cohen 2019, "OpenWebText corpus"; parquet files as Hugging Face publishes them in ``Skylion007/openwebtext``,
column ``text``. As in nanoGPT (Karpathy 2022) the documents follow each other, each ended by ``<|endoftext|>``, and a
share of 0.0005 of them, drawn at random, is kept for validation. Tokens are written once, as 16-bit numbers (17 GB),
into a folder beside the data; the vocabulary is the file ``tokenizer.json`` of ``openai-community/gpt2``.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.data.files.parquet import column, find_files

NAME, SOURCE = "OpenWebText", "Skylion007/openwebtext"
TOKENIZER, END = "tokenizer.json", "<|endoftext|>"
FOLDER = "lemmata-tokens"
SPLITS = ("train", "validation")


def text_files(folder: str | Path) -> tuple[Path, ...]:
    """Parquet files, and last the tokenizer's.

    Raises:
        ValueError: some are missing; the message says what to download.
    """
    files = find_files(folder, "train", name=NAME, source=SOURCE)
    tokenizer = Path(folder) / TOKENIZER
    if not tokenizer.is_file():
        raise ValueError(
            f"{folder} holds no {TOKENIZER}; download it with "
            f"'hf download openai-community/gpt2 {TOKENIZER} --local-dir {folder}'"
        )
    return (*files, tokenizer)


def load_tokens(folder: str | Path, split: str, validation_share: float = 0.0005) -> np.ndarray:
    """The tokens of a split ``(tokens,)`` uint16, mapped from disk; the first call writes both splits.

    Raises:
        ValueError: files are missing, the vocabulary does not fit 16 bits, or a split would be empty.
        OSError: the folder cannot be written.
    """
    target = Path(folder) / f"{FOLDER}-{validation_share:g}"
    if not target.is_dir():
        _write(Path(folder), target, validation_share)
    return np.memmap(target / f"{split}.bin", dtype=np.uint16, mode="r")


def vocabulary(folder: str | Path) -> int:
    """Number of tokens, rounded up to a multiple of 64 as matrix products like it: 50304 for GPT-2."""
    return -(-_tokenizer(Path(folder)).get_vocab_size() // 64) * 64


def _tokenizer(folder: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ValueError(
            "text is cut with tokenizers, which is not installed; run pip install 'lemmata[train]'"
        ) from None
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    if tokenizer.token_to_id(END) is None or tokenizer.get_vocab_size() > 2**16:
        raise ValueError(
            f"{folder / TOKENIZER} has {tokenizer.get_vocab_size()} tokens, {END} "
            f"{'missing' if tokenizer.token_to_id(END) is None else 'among them'}; take that of openai-community/gpt2"
        )
    return tokenizer


def _write(folder: Path, target: Path, share: float) -> None:
    """Both splits into a folder of another name, which then takes its place: a kill leaves no half of it."""
    from lemmata.draws import cell_seeds, uniform

    *files, _ = text_files(folder)
    tokenizer = _tokenizer(folder)
    end, seed = tokenizer.token_to_id(END), cell_seeds(0, [0])
    part = target.with_name(f".{target.name}-{os.getpid()}")
    part.mkdir()
    try:
        with open(part / "train.bin", "wb") as train, open(part / "validation.bin", "wb") as validation:
            for number, texts in enumerate(column(tuple(files), ("text",))):
                kept = (uniform(seed, f"validation {number}", (len(texts),))[0] < share).tolist()
                for encoded, aside in zip(tokenizer.encode_batch(texts, add_special_tokens=False), kept):
                    (validation if aside else train).write(np.array([*encoded.ids, end], np.uint16).tobytes())
        empty = [split for split in SPLITS if not (part / f"{split}.bin").stat().st_size]
        if empty:
            raise ValueError(f"no document of {files[0].parent} fell to the {empty[0]} split; give more documents")
        os.replace(part, target)
    except OSError:
        if not target.is_dir():  # another process was as quick, and wrote the same
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
