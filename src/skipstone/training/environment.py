"""What the numbers of a run may depend on besides its spec."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from skipstone.core.codec import Json

_PACKAGES = ("skipstone", "torch", "numpy", "lightning-fabric", "scikit-learn")


def describe(device: torch.device, augmentation: str, precision: str) -> Json:
    """Versions, processor, threads and device, and what the recipe's "auto" augmentation and precision came to."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        # Torch's own word has the build too (+cpu, +cu130), which its package's name in the table may lack.
        "packages": {**{name: _version(name) for name in _PACKAGES}, "torch": torch.__version__},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "augmentation": augmentation,
        "precision": precision,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
