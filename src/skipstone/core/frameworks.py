"""Programs written for another framework than torch: what to change so that they can be read. Imports none of them."""

import re
import traceback

# Names by which such a program reaches Keras, and how Keras itself is reached.
_IMPORTS = (
    (re.compile(r"\bfrom\s+tensorflow\.keras\b"), "from keras"),
    (re.compile(r"\bfrom\s+tensorflow\s+import\s+keras\b"), "import keras"),
    (re.compile(r"\bimport\s+tensorflow\.keras\s+as\b"), "import keras as"),
    (re.compile(r"\bimport\s+tensorflow\.keras\b(?!\.)"), "import keras"),
)
_BACKENDS = ("tensorflow", "jax", "openvino")
_BACKEND = "set KERAS_BACKEND=torch"


def advice(error: BaseException) -> str:
    """What to change in a program that failed to import what Keras runs on, "" for any other error.

    Keras imports TensorFlow itself, unless it is told to run on something else.
    """
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    place = _own_line(error)
    line = (place.line or "") if place is not None else ""
    if missing == "tensorflow" and missing in line and place is not None:
        return f"Keras is read on torch, not on TensorFlow: in line {place.lineno} {_written(line)}, and {_BACKEND}"
    if missing in _BACKENDS and "keras" in line:
        return f"Keras looks for {missing}, and is read on torch: {_BACKEND} before it is imported"
    return ""


def other_backend(keras: object) -> str:
    """What to change where Keras runs on something else than torch, "" where it does not. `keras` is its module."""
    try:
        backend = str(keras.backend.backend())  # type: ignore[attr-defined]
    except AttributeError:
        return ""
    return "" if backend == "torch" else f"Keras runs on {backend} here, and is read on torch: {_BACKEND}"


def _written(line: str) -> str:
    for pattern, instead in _IMPORTS:
        if pattern.search(line):
            return f"write `{pattern.sub(instead, line)}`"
    return "write `import keras`, and keras for tf.keras below it"


def _own_line(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost line outside of installed packages, whose text is known."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f for f in reversed(frames) if f.line and "site-packages" not in f.filename), None)
