"""AdamWPP in a Hugging Face Trainer: hand over the optimiser and a schedule; ``lr`` stays 1.

Runs on a small GPT-2 with random tokens; put your model and data in their place. Needs ``pip install
'lemmata[examples]'``.
"""

import sys
import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, get_cosine_schedule_with_warmup

from lemmata.optim import AdamWPP

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 120

torch.manual_seed(0)
config = GPT2Config(vocab_size=32, n_positions=16, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config)
tokens = (torch.arange(16) + torch.randint(32, (64, 1))) % 32  # each token is the one before plus 1
data = [{"input_ids": row, "labels": row} for row in tokens]

# A larger first scale than 1e-6: the cosine should not set in while eta still grows.
optimizer = AdamWPP(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1, eta0=1e-4)
schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=5, num_training_steps=STEPS)

with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        max_steps=STEPS,
        per_device_train_batch_size=16,
        logging_steps=max(1, STEPS // 4),
        report_to=[],
        save_strategy="no",
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=data, optimizers=(optimizer, schedule))
    trainer.train()

losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(f"loss {float(losses[0]):.3f} -> {float(losses[-1]):.3f}, eta {optimizer.eta.item():.1e}")
