"""A student's file against a unit: run it apart, judge what came back here."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from skipstone.learn.answers import Answers
from skipstone.learn.gather import source_text
from skipstone.learn.submission import Facts, run_source
from skipstone.learn.unit import Unit, load
from skipstone.learn.verdict import Verdict, verdict_of

Runner = Callable[..., Facts]


def judge_file(unit: Unit | str, path: str | Path) -> Verdict:
    """Judge the student's file `path`. Its code runs in a process of its own, behind walls; see docs/design/learn.md.

    Raises:
        UnknownNameError: there is no such unit.
        OSError: the file cannot be read.
    """
    unit = load(unit) if isinstance(unit, str) else unit
    return judge_source(unit, Path(path).read_bytes())


def judge_source(unit: Unit, source: bytes, run: Runner = run_source) -> Verdict:
    """Judge a student's file given as bytes. The same bytes get the same verdict."""
    facts = run(source, unit.file_name, unit.asks, seconds=unit.seconds)
    try:
        text = source_text(source, unit.file_name)
    except SyntaxError:  # which is what the student is told of the run
        text = ""
    # What a grader draws is drawn from the submission itself: repeatable, and not one and the same for everybody.
    seed = int.from_bytes(hashlib.blake2b(source, digest_size=4).digest(), "little")
    return judge_facts(unit, facts, text, seed)


def judge_facts(unit: Unit, facts: Facts, source: str = "", seed: int = 0) -> Verdict:
    """Judge what came back of a file or a notebook."""
    answers = Answers(facts, unit.asks, source, seed=seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, wherever they are judged
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return verdict_of(unit.name, unit.file_name, unit.judge(answers), facts.printed)
    finally:
        torch.set_num_threads(threads)
