"""The catalogue: one published skip design a file, each with its `DESIGN` record, its module and a small `example`.

    blocks.names()            the slugs
    blocks.get("rezero")      the design's record
    blocks.module("rezero")   its Python module: ReZero, DESIGN, example
    blocks.page("rezero")     its page, as docs/designs/rezero.md

    blocks.ReZero(my_branch)                            around any branch that keeps the shape
    blocks.ReZero(my_branch, example=(16, 32, 32))      and around one that does not: the planner fits the shortcut

Designs that are a way to wrap a branch are classes and stand here; what is built for a design's own block, and the
functions beside it (`fold`, `survival`, `widths`), stand in its module. The parts that designs share (`Residual`,
branches, the planner's steps) are here too.
"""

from skipstone.blocks.attention_gate import AttentionGate, AttentionSkip
from skipstone.blocks.catalogue import CATALOGUE, get, module, names, page
from skipstone.blocks.convnext import ConvNeXt
from skipstone.blocks.denseformer import DepthWeightedAverage
from skipstone.blocks.densenet import Dense
from skipstone.blocks.diracnet import Dirac
from skipstone.blocks.dropout_shortcut import DropoutShortcut
from skipstone.blocks.dual_path import DualPath
from skipstone.blocks.fixup import Fixup
from skipstone.blocks.fpn import FPN
from skipstone.blocks.fractalnet import Fractal
from skipstone.blocks.gated_shortcut import GatedShortcut
from skipstone.blocks.highway import Highway
from skipstone.blocks.hyper_connections import HyperConnected, HyperConnection
from skipstone.blocks.layer_scale import LayerScale
from skipstone.blocks.mobilenetv2 import InvertedResidual
from skipstone.blocks.nf_resnet import NormFree
from skipstone.blocks.orthogonal_update import OrthogonalUpdate
from skipstone.blocks.parts.residual import BranchError, Residual, basic_branch, bottleneck_branch
from skipstone.blocks.parts.resnet import PlainBlock, basic_block, bottleneck_block, projection, shortcut
from skipstone.blocks.parts.steps import build, code, option_a, shortcut_between
from skipstone.blocks.preactivation import PreActivation, preactivation_block
from skipstone.blocks.pyramidnet import PyramidNet
from skipstone.blocks.repvgg import RepVGG
from skipstone.blocks.resnet_a import ResNetA
from skipstone.blocks.resnet_b import ResNetB
from skipstone.blocks.resnet_c import ResNetC
from skipstone.blocks.resnet_d import ResNetD
from skipstone.blocks.revnet import Reversible, ReversibleSequence
from skipstone.blocks.rezero import ReZero
from skipstone.blocks.scaled_shortcut import ScaledShortcut
from skipstone.blocks.shake_shake import ShakeShake
from skipstone.blocks.skipinit import SkipInit
from skipstone.blocks.stochastic_depth import StochasticDepth
from skipstone.blocks.unet import LongSkip
from skipstone.blocks.zero_gamma import ZeroGamma

__all__ = [
    "CATALOGUE", "FPN", "AttentionGate", "AttentionSkip", "BranchError", "ConvNeXt", "Dense", "DepthWeightedAverage",
    "Dirac", "DropoutShortcut", "DualPath", "Fixup", "Fractal", "GatedShortcut", "Highway", "HyperConnected",
    "HyperConnection", "InvertedResidual", "LayerScale", "LongSkip", "NormFree", "OrthogonalUpdate", "PlainBlock",
    "PreActivation", "PyramidNet", "ReZero", "RepVGG", "ResNetA", "ResNetB", "ResNetC", "ResNetD", "Residual",
    "Reversible", "ReversibleSequence", "ScaledShortcut", "ShakeShake", "SkipInit", "StochasticDepth", "ZeroGamma",
    "basic_block", "basic_branch", "bottleneck_block", "bottleneck_branch", "build", "code", "get", "module", "names",
    "option_a", "page", "preactivation_block", "projection", "shortcut", "shortcut_between",
]  # fmt: skip
