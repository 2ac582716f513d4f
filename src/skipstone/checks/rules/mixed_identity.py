"""Mixed identity: of a block's residuals one takes its identity before its norm, another behind one.

What it finds:
    A block that is pre-norm in one residual, while the identity of the next passes a norm first.
Why it matters:
    Every such block normalises the stream, and the signal and its gradient must pass all the norms: in most code a slip
    (SK206), in the Compact Convolutional Transformer the authors' own code, line by line.
Example:
    `x = x + self.attn(self.norm1(x)); x = self.norm2(x); return x + self.mlp(x)`.
Repair:
    Norm inside the branch alone: `x + self.mlp(self.norm2(x))`.
Effect of the repair:
    No parameters; another function.
References:
    Hassani et al. 2021, Escaping the Big Data Paradigm with Compact Transformers, 2104.05704 (its code takes the
    second identity behind the norm); Xiong et al. 2020, On Layer Normalization in the Transformer Architecture,
    2002.04745, section 3.
"""

from collections.abc import Iterator

from skipstone.checks.rule import Fault, Rule
from skipstone.checks.rules import normed_identity
from skipstone.checks.subject import Subject

RULE = Rule("SK306", "mixed-identity", "note", "of a block's residuals one takes its identity behind a norm")


def check(subject: Subject) -> Iterator[Fault]:
    words = "the block's other residual takes it before its norm (CCT, 2104.05704, means it so)"
    for skip, norm in normed_identity.mixed(subject):
        yield normed_identity.fault(subject, skip, norm, words)
