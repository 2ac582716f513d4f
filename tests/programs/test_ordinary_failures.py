"""Programs that fail in ordinary ways: output and status as under Python, and the finding under the traceback."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

import pytest

NETS = """
import torch
import torch.nn.functional as F
from torch import nn


class Widens(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head((x + self.conv(x)).mean((2, 3)))


class Flat(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(features, 2)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).view(x.size(0), -1))


class Good(nn.Module):
    def __init__(self, out=2):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, out)

    def forward(self, x):
        return self.fc((x + torch.relu(self.conv(x))).mean((2, 3)))


class Overwrites(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        y = torch.sigmoid(self.a(x))
        y += self.b(y)
        return y


X = torch.zeros(4, 3, 8, 8)
"""


@dataclass(frozen=True)
class Case:
    """A program `train.py` that imports all of `nets.py`, how it is started, what is said under its traceback."""

    text: str
    words: tuple[str, ...]
    command: tuple[str, ...] = ("train.py",)
    files: dict[str, str] = field(default_factory=dict)
    stdin: str = ""


PACKAGED = "import sys\nfrom .net import *\nprint(sys.argv[1:])\nWidens()(X)\n"
CHANNELS = "cannot add 3 channels to 8 channels"
CASES = {
    "a call at top level": Case("print('begins')\nWidens()(X)\n", (CHANNELS, "train.py:3", "a/nets.py")),
    "argparse, a main function, a guard": Case(
        """
        import argparse

        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--epochs", type=int, default=1)
            parser.add_argument("--width", type=int, default=8)
            args = parser.parse_args()
            model = Widens(args.width)
            optimizer = torch.optim.Adam(model.parameters())
            for epoch in range(args.epochs):
                print("epoch", epoch)
                loss = F.cross_entropy(model(X), torch.zeros(4, dtype=torch.long))
                optimizer.zero_grad(); loss.backward(); optimizer.step()

        if __name__ == "__main__":
            main()
        """,
        ("cannot add 3 channels to 16 channels",),
        ("train.py", "--epochs", "2", "--width", "16"),
    ),
    "a linear layer behind a view": Case("Flat(4 * 8 * 8)(X)\n", ("fc is made for 256 features and meets 144",)),
    "a package run as a module": Case(
        "", (CHANNELS,), ("-m", "project.train", "--fast"),
        {"project/__init__.py": "", "project/net.py": NETS, "project/train.py": PACKAGED},
    ),
    "a backward pass": Case(
        "net = Overwrites()\nloss = net(torch.ones(5, 4)).sum()\nloss.backward()\n", ("SK109", "called with (5, 4)")
    ),
    "a backward pass in a closure of the optimizer": Case(
        """
        net = Overwrites()
        optimizer = torch.optim.LBFGS(net.parameters())
        def closure():
            optimizer.zero_grad()
            loss = net(torch.ones(5, 4)).square().mean()
            loss.backward()
            return loss
        optimizer.step(closure)
        """,
        ("SK109",),
    ),
    "targets with an axis too many": Case(
        "nn.CrossEntropyLoss()(Good()(X), torch.zeros(4, 1, dtype=torch.long))\n", ("targets.squeeze(-1)", "train.py:2")
    ),
    "targets that are floats": Case("F.cross_entropy(Good()(X), torch.zeros(4))\n", ("targets.long()",)),
    "a class too many": Case(
        """
        F.cross_entropy(Good()(X), torch.tensor([0, 1, 2, 1]))
        """,
        ("a target is 2, and 2 outputs",),
    ),
    "a binary loss of two shapes": Case(
        """
        nn.BCEWithLogitsLoss()(Good(1)(X), torch.zeros(4))
        """,
        ("outputs.squeeze(-1)",),
    ),
    "a loss that broadcasts in silence": Case(
        """
        import warnings
        warnings.filterwarnings("ignore")
        net, loss = Good(1), nn.MSELoss()
        for _ in range(3):
            loss(net(X), torch.zeros(4)).backward()
        print("done")
        """,
        ("mse_loss at train.py:7", "4x4 terms"),
    ),
    "DataParallel": Case("nn.DataParallel(Widens())(X)\n", (CHANNELS,)),
    "workers of a DataLoader at work": Case(
        """
        from torch.utils.data import DataLoader, TensorDataset

        if __name__ == "__main__":
            data = TensorDataset(torch.zeros(8, 3, 8, 8), torch.zeros(8, dtype=torch.long))
            for x, y in DataLoader(data, batch_size=4, num_workers=2):
                print(tuple(x.shape))
                Widens()(x)
        """,
        (CHANNELS, "with (4, 3, 8, 8)"),
    ),
    "a network that fails in a DataLoader's worker": Case(
        """
        from torch.utils.data import DataLoader, Dataset

        class Encoded(Dataset):
            def __init__(self): self.net = Widens()
            def __len__(self): return 4
            def __getitem__(self, index): return self.net(torch.zeros(1, 3, 8, 8))

        if __name__ == "__main__":
            next(iter(DataLoader(Encoded(), num_workers=1)))
        """,
        (),
    ),
    "torch.multiprocessing.spawn": Case(
        """
        import torch.multiprocessing as mp

        def work(rank):
            Widens()(X)

        if __name__ == "__main__":
            mp.spawn(work, nprocs=1)
        """,
        (),
    ),
    "a pool of a fork server": Case(
        """
        import multiprocessing, sys

        def work(number):
            print("child", number, sys.argv, flush=True)
            return Good()(X).shape[0] + number

        if __name__ == "__main__":
            with multiprocessing.get_context("forkserver").Pool(1) as pool:
                print(pool.map(work, [1, 2]))
            Widens()(X)
        """,
        (CHANNELS,),
    ),
    "a thread": Case(
        """
        import threading
        thread = threading.Thread(target=Widens(), args=(X,), name="loop")
        thread.start(); thread.join()
        print("on")
        """,
        (CHANNELS,),
    ),
    "an error that the program logs itself": Case(
        """
        import logging, sys
        try:
            Widens()(X)
        except RuntimeError:
            logging.exception("no such luck")
        sys.exit(3)
        """,
        (),
    ),
    "a batch as keyword arguments, a dictionary as result": Case(
        """

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.up, self.head = nn.Embedding(50, 8), nn.Linear(8, 16), nn.Linear(8, 2)
            def forward(self, input_ids, attention_mask=None, labels=None):
                x = self.embed(input_ids)
                x = (x + self.up(x)) * attention_mask[..., None]
                logits = self.head(x.mean(1))
                return {"loss": F.cross_entropy(logits, labels), "logits": logits}

        class Trainer:
            def __init__(self, model, batches): self.model, self.batches = model, batches
            def training_step(self, batch): return self.model(**batch)["loss"]
            def train(self):
                for batch in self.batches:
                    self.training_step(batch).backward()

        ids = torch.zeros(2, 6, dtype=torch.long)
        Trainer(Encoder(), [dict(input_ids=ids, attention_mask=torch.ones(2, 6), labels=torch.zeros(2).long())]).train()
        """,
        ("cannot add 8 channels to 16 channels",),
    ),
    "two networks, one after the other": Case(
        """
        G = nn.Sequential(nn.Linear(10, 3 * 64), nn.Tanh(), nn.Unflatten(1, (3, 8, 8)))
        D = Flat(100)
        real = D.conv(X)
        D(G(torch.randn(4, 10)).detach())
        """,
        ("Flat, called at train.py:6", "fc is made for 100 features and meets 144"),
    ),
    "lines from stdin": Case("width = int(input())\nWidens(width)(X)\n", ("to 5 channels",), stdin="5\n"),
    "asyncio": Case("import asyncio\nasync def step():\n    return Widens()(X)\nasyncio.run(step())\n", (CHANNELS,)),
    "an index that is no row": Case(
        """
        nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))(torch.tensor([[7]]))
        """,
        ("index out of range",),
    ),
    "an exit within a network": Case(
        "import sys\nclass Quits(nn.Module):\n    def forward(self, x):\n        sys.exit(4)\nQuits()(X)\n", ()
    ),
}  # fmt: skip
QUICK = ("a backward pass",)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}


def ended(folder, *command, stdin=""):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        input=stdin,
        env=environment(),
        timeout=230,
    )


def write(folder, case):
    for name, text in {
        "nets.py": NETS,
        "train.py": "from nets import *\n" + textwrap.dedent(case.text),
        **case.files,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_it_ends_as_under_python_and_is_explained(name, tmp_path):
    case = CASES[name]
    write(tmp_path, case)
    theirs = ended(tmp_path, *case.command, stdin=case.stdin)
    ours = ended(tmp_path, "-m", "skipstone", "run", *case.command, stdin=case.stdin)
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    if "-m" in case.command:  # Python shows the lines of runpy above the program's own
        assert ours.stderr.startswith(
            theirs.stderr[theirs.stderr.index('  File "' + str(tmp_path)) :], ours.stderr.index("  File")
        )
    else:
        assert ours.stderr.startswith(theirs.stderr)
    said = ours.stderr[len(theirs.stderr) :] if "-m" not in case.command else ours.stderr
    for word in case.words:
        assert word in said
    if not case.words:
        assert said == ""


RANKS = """
import torch.distributed as dist

dist.init_process_group("gloo")
net = nn.parallel.DistributedDataParallel(Good() if dist.get_rank() else Good())
net(X).sum().backward()
print(f"rank {dist.get_rank()} of {dist.get_world_size()}\\n", end="", flush=True)
dist.barrier()
dist.destroy_process_group()
Widens()(X)
"""


@pytest.mark.slow
def test_ranks_of_torchrun_are_explained_each(tmp_path):
    write(tmp_path, Case(RANKS, ()))
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    theirs, ours = ended(tmp_path, *launch, "train.py"), ended(tmp_path, *launch, "-m", "skipstone", "run", "train.py")
    assert theirs.returncode == ours.returncode == 1
    assert sorted(ours.stdout.splitlines()) == sorted(theirs.stdout.splitlines()) == ["rank 0 of 2", "rank 1 of 2"]
    assert CHANNELS in ours.stderr
    assert "circle" not in ours.stderr
    assert "RecursionError" not in ours.stderr


TESTS = """
import pytest
from nets import *

@pytest.fixture
def features():
    return Flat(100)(X)

def test_right():
    assert Good()(X).shape == (4, 2)

def test_forward():
    Widens()(X)

def test_fixture(features):
    pass

@pytest.mark.parametrize("size", [8, 9])
def test_loss(size):
    F.mse_loss(Good(1)(torch.zeros(4, 3, size, size)), torch.zeros(5, 1))
"""


@pytest.mark.slow
def test_failing_tests_are_explained_and_fail_alike(tmp_path):
    write(tmp_path, Case("", (), files={"test_nets.py": TESTS}))
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    theirs, ours = ended(tmp_path, *command), ended(tmp_path, *command, "--skipstone")
    assert theirs.returncode == ours.returncode == 1
    assert "3 failed, 1 passed" in theirs.stdout
    assert "3 failed, 1 passed" in ours.stdout
    assert ours.stdout.count("- skipstone -") == 4
    for words in (CHANNELS, "fc is made for 100 features", "mse_loss at test_nets.py"):
        assert words in ours.stdout


@pytest.mark.slow
def test_a_notebook_with_magics(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    write(tmp_path, Case("", ()))
    cells = [
        f"import sys; sys.path[:0] = {[str(tmp_path), *filter(None, sys.path)]!r}",
        "%load_ext skipstone\n%load_ext autoreload\n%autoreload 2\nfrom nets import *",
        "%%time\nmodel = Widens()\nfor epoch in range(2):\n    model(X)",
        "Good()(X).shape",
        "net = Overwrites()\nloss = net(torch.ones(5, 4)).sum()",
        "loss.backward()",
        "try:\n    model(X)\nexcept RuntimeError as error:\n    print('caught')",
    ]
    raising = {2, 5}
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(text, metadata={"tags": ["raises-exception"]} if number in raising else {})
            for number, text in enumerate(cells)
        ]
    )
    done = NotebookClient(book, timeout=200).execute()
    said = [json.dumps([output.get("data", output) for output in cell.outputs]) for cell in done.cells]
    assert CHANNELS in said[2]
    assert "(4, 2)" in said[3].replace("torch.Size([4, 2])", "(4, 2)")
    assert "SK109" in said[5]
    assert "skipstone" not in said[6]
    assert "caught" in said[6]
