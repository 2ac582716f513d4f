"""What trying claims leaves in its folder, `claims.json`: setting, evidence, machine; no verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from skipstone.core.codec import Json, decode, encode
from skipstone.experiments.claims.claim import Claim, Setting
from skipstone.experiments.claims.verdict import Evidence, Verdict, judge
from skipstone.runs.records import read_json

VERSION = 1
CLAIMS_FILE = "claims.json"
KEPT_FILES = {"digits": "digits.json", "cifar10": "cifar10.json"}
"""The records that come with skipstone, by data set: all claims on the digits, some on CIFAR-10."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A claim by its name, and what came of its predictions, in their order."""

    name: str
    evidence: tuple[Evidence, ...]

    def answers(self, claim: Claim) -> bool:
        """Is this what the claim predicts, or was it written for other predictions?"""
        ours = [(p.condition, p.measure.name, p.margin) for p in claim.predictions]
        return self.name == claim.name and ours == [(e.condition, e.measure, e.margin) for e in self.evidence]


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims as tried under one setting. `environment` is that of the first run, `started` and processor included."""

    setting: Setting
    tried: tuple[Tried, ...] = ()
    environment: Json = field(default_factory=dict)

    def evidence(self, claim: Claim) -> tuple[Evidence, ...]:
        """None where it was not tried, or was when it predicted something else."""
        return next((tried.evidence for tried in self.tried if tried.answers(claim)), ())

    def verdict(self, claim: Claim) -> Verdict:
        return judge(self.evidence(claim))

    def having(self, claim: Claim, evidence: Sequence[Evidence], environment: Json) -> "Claims":
        """The same with this claim's evidence."""
        others = tuple(tried for tried in self.tried if tried.name != claim.name)
        return replace(
            self, tried=(*others, Tried(claim.name, tuple(evidence))), environment=self.environment or environment
        )

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Claims":
        return decode(cls, data, version=VERSION, where=where)


def read_claims(folder: str | Path) -> Claims:
    """The claims tried in `folder`; `RecordError` naming the file where there are none."""
    return _read(Path(folder) / CLAIMS_FILE)


def kept_claims(data: str = "digits") -> Claims:
    """Those that come with skipstone, tried on `data`; the pages of the docs are written from them."""
    return _read(Path(str(files("skipstone.experiments.claims").joinpath(KEPT_FILES[data]))))


def _read(path: Path) -> Claims:
    return Claims.from_dict(read_json(path), str(path))
