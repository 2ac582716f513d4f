"""Training: one network, one recipe, one run folder that resumes. Importing it loads torch and lightning-fabric."""

from skipstone.runs.recipe_file import override, read_recipe
from skipstone.training.loop import RunFailed
from skipstone.training.model import Builder, build_model
from skipstone.training.progress import Progress, Silent
from skipstone.training.trainer import train

__all__ = ["Builder", "Progress", "RunFailed", "Silent", "build_model", "override", "read_recipe", "train"]
