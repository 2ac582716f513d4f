"""The callbacks in real trainings: the weights come out bit for bit as without them, no hook is left.

Those need Lightning, transformers and accelerate: `make extras`.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.core.errors import SkipstoneError

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own warnings


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.two(x + torch.relu(self.one(x)))


def net():
    torch.manual_seed(0)
    return Net()


def data():
    return [(torch.randn(4, generator=torch.Generator().manual_seed(k)), k % 3) for k in range(24)]


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.extras
@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning(tmp_path, accumulate):
    import lightning

    from skipstone.integrations.lightning import FlowCallback

    class Task(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net()

        def training_step(self, batch, index):
            x, y = batch
            return F.cross_entropy(self.net(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.1)

    def trained(*callbacks):
        task = Task()
        trainer = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path, accumulate_grad_batches=accumulate,
            callbacks=list(callbacks), gradient_clip_val=0.5,
        )  # fmt: skip
        trainer.fit(task, torch.utils.data.DataLoader(data(), batch_size=6))
        return task

    callback = FlowCallback(every=1)
    watched, alone = trained(callback), trained()
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    assert len(callback.flow.records) == 8 // accumulate
    assert {record.epoch for record in callback.flow.records} == {1, 2}
    assert [layer.name for layer in callback.flow.last.layers] == ["net.one", "net.two"]
    assert all(layer.update_norm > 0 and layer.output_grad_norm > 0 for layer in callback.flow.last.layers)
    assert hooks_on(watched) == 0


@pytest.mark.extras
def test_the_hugging_face_trainer(tmp_path):
    import transformers

    from skipstone.integrations.hf_trainer import FlowCallback

    class Task(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    rows = [{"x": x, "labels": y} for x, y in data()]

    def trained(*callbacks):
        task = Task()
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=6, report_to=[], use_cpu=True,
            save_strategy="no", disable_tqdm=True, remove_unused_columns=False, logging_strategy="no", seed=1,
        )  # fmt: skip
        transformers.Trainer(task, arguments, train_dataset=rows, callbacks=list(callbacks)).train()
        return task

    callback = FlowCallback(every=1, skips=True)
    watched, alone = trained(callback), trained()
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    assert len(callback.flow.records) == 8
    assert all(layer.update_norm > 0 and layer.output_grad_norm > 0 for layer in callback.flow.last.layers)
    assert [skip.note for skip in callback.flow.last.skips] == [""]
    assert hooks_on(watched) == 0


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    import sys

    from skipstone.integrations import hf_trainer, lightning

    for name in ("lightning", "pytorch_lightning", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SkipstoneError, match="pip install lightning"):
        lightning.FlowCallback()
    with pytest.raises(SkipstoneError, match="pip install transformers"):
        hf_trainer.FlowCallback()
