"""Where a backward pass that raises does so."""

from collections.abc import Mapping
from typing import Any

from skipstone.core.graph import Place
from skipstone.execution.copying import RealClone
from skipstone.execution.inputs import Arguments
from skipstone.execution.passes import Raised, execute
from skipstone.execution.watching import Watch
from skipstone.tracing.gradients import grad_fn_of
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.position import places


def locate_backward(
    clone: RealClone, arguments: Arguments, *, seed: int, seconds: float, draws: bool = True
) -> Raised | None:
    """Where a backward pass that raises does so: the pass again, with a look at each step of the backward pass."""
    at: dict[object, tuple[str, str, Place | None]] = {}
    reached: list[tuple[str, str, Place | None]] = []

    def see(watch: Watch, op: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        for tensor in tensors_in(result):
            function = grad_fn_of(tensor)
            if function is not None and function not in at:
                at[function] = (op, watch.path, places()[0])
                function.register_prehook(lambda gradients, spot=at[function]: reached.append(spot))

    done = execute(clone, arguments, seed=seed, backward=True, seconds=seconds, draws=draws, see=see)
    if done.raised is None or done.raised.stage != "backward" or done.raised.place is not None or not reached:
        return done.raised
    op, module, place = reached[-1]
    return Raised(done.raised.error, done.raised.message, "backward", module, place, op)
