"""The exact planner: every way to give a tensor of one shape another, each verified by the size arithmetic.

Nothing is guessed from a ratio: stride, kernel and padding are solved for, so 34 -> 10 gets a kernel that gives 10,
where a stride of 34 // 10 would give 12.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from skipstone.shapes.arithmetic import FloorMap, SizeError, pool_size
from skipstone.shapes.plan import Plan, Shape, Step, Window

__all__ = ["PREFERENCE", "Layout", "Plan", "Shape", "SizeError", "Step", "Window", "named", "reconcile"]

Layout = Literal["after", "both"]

# The plans by name, best first: what the papers use stands before what merely fits.
PREFERENCE = (
    "identity", "avg_pool", "projection", "avg_pool_projection", "option_a", "zero_channels", "avg_pool_zero_channels",
    "crop", "pad", "crop_projection", "pad_projection", "interpolate", "interpolate_projection", "unshuffle_avg_pool",
    "subsample", "max_pool", "max_pool_projection", "strided_conv", "transposed_conv", "adaptive_avg_pool",
    "adaptive_avg_pool_projection", "option_a_both", "zero_channels_both",
)  # fmt: skip

MAX_KERNEL = 7
MAX_PADDING = 3


def reconcile(source: Shape, target: Shape, follow: Sequence[FloorMap | None] = ()) -> tuple[Plan, ...]:
    """All plans that give a tensor of shape `source` shape `target`, best first; empty if the ranks differ.

    Shapes are `(channels, *sizes)`. `follow` may hold the size map of the branch on each axis: plans that
    follow it at every size then stand first and are marked `every_size`. The order is `PREFERENCE`, then
    parameters and multiply-adds; plans of equal steps appear once.
    """
    _check(source, "source")
    _check(target, "target")
    if len(source) != len(target):
        return ()
    maps = tuple(follow) if len(follow) == len(source) - 1 else ()
    plans = [_mark(plan, maps) for plan in _plans(source, target, maps)]
    plans.sort(key=_rank)
    unique: dict[tuple[Step, ...], Plan] = {}
    for plan in plans:
        unique.setdefault(plan.steps, plan)
    return tuple(unique.values())


def named(plans: Sequence[Plan], name: str) -> Plan:
    """The first plan of that name, or of the design with that slug; else `SizeError` with the names there are."""
    for plan in plans:
        if name in (plan.name, plan.design):
            return plan
    known = ", ".join(dict.fromkeys(plan.name for plan in plans)) or "none: the numbers of axes differ"
    raise SizeError(f"no plan {name!r} fits these shapes; possible: {known}")


def _check(shape: Shape, what: str) -> None:
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise SizeError(f"{what} must be (channels, up to three sizes), all at least 1; not {shape}")


def _rank(plan: Plan) -> tuple[bool, int, int, int]:
    cost, place = plan.cost, PREFERENCE.index(plan.name)
    if plan.name.startswith("avg_pool") and all(w.stride == 1 for w in plan.steps[0].windows):
        place = PREFERENCE.index("max_pool")  # smoothing to lose a border position: cropping is what is meant
    return not plan.every_size, place, cost.num_parameters, cost.macs


def _mark(plan: Plan, maps: tuple[FloorMap | None, ...]) -> Plan:
    if not maps:
        return plan
    plan = replace(plan, follow=maps)
    if None in maps:
        return plan
    got: list[FloorMap] = [FloorMap() for _ in maps]
    for step in plan.steps:
        stepped = step.size_maps
        if stepped is None or None in stepped:
            return plan
        got = [one.then(two) for one, two in zip(got, stepped, strict=True) if two is not None]
    return replace(plan, every_size=tuple(got) == maps)


def _plans(source: Shape, target: Shape, maps: tuple[FloorMap | None, ...]) -> Iterator[Plan]:
    if source == target:
        yield Plan("identity", source, target)
        return
    grows = source[0] < target[0]
    if source[1:] == target[1:]:
        yield Plan("projection", source, target, (_conv(source, target),))
        if grows:
            yield Plan("zero_channels", source, target, (_zeros(source, target, "after"),))
            yield Plan("zero_channels_both", source, target, (_zeros(source, target, "both"),))
        return
    yield from _strided(source, target, maps)
    yield from _resampled(source, target, maps)
    yield from _unshuffled(source, target)


def _strided(source: Shape, target: Shape, maps: tuple[FloorMap | None, ...]) -> Iterator[Plan]:
    sizes, wanted = source[1:], target[1:]
    if (windows := _windows(sizes, wanted, 1, maps)) is not None:
        yield Plan("projection", source, target, (_conv(source, target, windows),))
        middle = (source[0], *wanted)
        taken = Step("subsample", source, middle, windows)
        if source[0] == target[0]:
            yield Plan("subsample", source, target, (taken,))
        elif source[0] < target[0]:
            yield Plan("option_a", source, target, (taken, _zeros(middle, target, "after")))
            yield Plan("option_a_both", source, target, (taken, _zeros(middle, target, "both")))
    elif (windows := _windows(sizes, wanted, MAX_KERNEL, maps)) is not None:
        yield Plan("strided_conv", source, target, (_conv(source, target, windows),))
    if (windows := _transposed_windows(sizes, wanted)) is not None:
        yield Plan("transposed_conv", source, target, (Step("conv_transpose", source, target, windows),))


def _resampled(source: Shape, target: Shape, maps: tuple[FloorMap | None, ...]) -> Iterator[Plan]:
    """Plans that change the sizes without parameters, then the channels."""
    middle = (source[0], *target[1:])
    first: list[tuple[str, Step]] = []
    for windows in _pool_windows(source[1:], target[1:], maps):
        first += [("avg_pool", Step("avg_pool", source, middle, windows))]
        first += [("max_pool", Step("max_pool", source, middle, windows))]
    pairs = list(zip(source[1:], target[1:], strict=True))
    if all(h >= t for h, t in pairs):
        first += [("adaptive_avg_pool", Step("adaptive_avg_pool", source, middle))]
    if any(t > h for h, t in pairs):
        first += [("interpolate", Step("interpolate", source, middle))]
    if all(h < 2 * t and t < 2 * h for h, t in pairs):
        amounts = tuple(_halves(t - h) for h, t in pairs)
        name = "crop" if sum(t - h for h, t in pairs) < 0 else "pad"
        first += [(name, Step("pad", source, middle, amounts=amounts))]
    for name, step in first:
        if source[0] == target[0]:
            yield Plan(name, source, target, (step,))
            continue
        if name == "interpolate":  # the channels first: the same function and fewer multiply-adds
            low = (target[0], *source[1:])
            up = Step("interpolate", low, target)
            yield Plan("interpolate_projection", source, target, (_conv(source, low), up))
        else:
            yield Plan(f"{name}_projection", source, target, (step, _conv(middle, target)))
        if name == "avg_pool" and source[0] < target[0]:
            yield Plan("avg_pool_zero_channels", source, target, (step, _zeros(middle, target, "after")))


def _unshuffled(source: Shape, target: Shape) -> Iterator[Plan]:
    """Space into channels, then average pooling: fills every channel without a parameter."""
    channels, *sizes = source
    axes = len(sizes)
    factor = round((target[0] / channels) ** (1 / axes))
    if factor < 2 or channels * factor**axes != target[0] or any(size % factor for size in sizes):
        return
    folded = (target[0], *(size // factor for size in sizes))
    unshuffle = Step("unshuffle", source, folded, factor=factor)
    if folded == target:
        yield Plan("unshuffle_avg_pool", source, target, (unshuffle,))
        return
    for windows in _pool_windows(folded[1:], target[1:], ()):
        yield Plan("unshuffle_avg_pool", source, target, (unshuffle, Step("avg_pool", folded, target, windows)))


def _conv(source: Shape, target: Shape, windows: tuple[Window, ...] | None = None) -> Step:
    return Step("conv", source, target, windows or tuple(Window() for _ in source[1:]))


def _zeros(source: Shape, target: Shape, layout: Layout) -> Step:
    return Step("zero_channels", source, target, amounts=(zero_channel_amounts(source[0], target[0], layout),))


def zero_channel_amounts(in_channels: int, out_channels: int, layout: Layout = "after") -> tuple[int, int]:
    """Zero channels before and after, or `SizeError` where the channels would have to shrink."""
    missing = out_channels - in_channels
    if missing < 0:
        raise SizeError(
            f"option A fills up with zero channels and cannot go from {in_channels} to {out_channels}; "
            "use a projection (option B) where channels shrink"
        )
    return (0, missing) if layout == "after" else _halves(missing)


def _halves(total: int) -> tuple[int, int]:
    """Split toward zero before and the rest after, so that an odd position goes after; negative totals crop."""
    before = int(total / 2)
    return before, total - before


def _windows(
    sizes: Shape, wanted: Shape, max_kernel: int, maps: tuple[FloorMap | None, ...]
) -> tuple[Window, ...] | None:
    """One convolution window an axis that gives exactly the sizes wanted, following the branch where it can."""
    followed = maps or (None,) * len(sizes)
    found = [_window(h, t, max_kernel, m) for h, t, m in zip(sizes, wanted, followed, strict=True)]
    return None if None in found else tuple(window for window in found if window is not None)


def _window(size: int, wanted: int, max_kernel: int, follow: FloorMap | None) -> Window | None:
    """Smallest kernel first, then smallest padding, then the smallest stride; the branch's own map beats them all."""
    fitting: list[Window] = []
    for kernel in range(1, max_kernel + 1):
        for padding in range(min(kernel // 2, MAX_PADDING) + 1):
            room = size + 2 * padding - kernel
            if room < 0:
                continue
            for stride in _strides(room, wanted):
                window = Window(kernel, stride, padding)
                if follow is not None and FloorMap.conv(kernel, stride, padding) == follow:
                    return window
                fitting.append(window)
    return fitting[0] if fitting else None


def _strides(room: int, wanted: int) -> range:
    """The strides s with room // s + 1 == wanted."""
    if wanted == 1:
        return range(room + 1, room + 2)
    return range(room // wanted + 1, room // (wanted - 1) + 1)


def _pool_windows(sizes: Shape, wanted: Shape, maps: tuple[FloorMap | None, ...]) -> list[tuple[Window, ...]]:
    """At most one choice of pooling windows: `ceil_mode` is one setting for all axes, so both are tried."""
    followed = maps or (None,) * len(sizes)
    choices: list[tuple[int, tuple[Window, ...]]] = []
    for ceil_mode in (False, True):
        found = [_pool_window(h, t, ceil_mode, m) for h, t, m in zip(sizes, wanted, followed, strict=True)]
        if None in found:
            continue
        windows = tuple(window for window in found if window is not None)
        missed = sum(
            follow is not None and FloorMap.pool(w.kernel, w.stride, w.padding, ceil_mode=ceil_mode) != follow
            for w, follow in zip(windows, followed, strict=True)
        )
        overlap = sum(w.kernel - w.stride + w.padding for w in windows)
        choices.append((100 * missed + overlap, windows))
    return [min(choices, key=lambda choice: choice[0])[1]] if choices else []


def _pool_window(size: int, wanted: int, ceil_mode: bool, follow: FloorMap | None) -> Window | None:
    if wanted > size:
        return None
    if wanted == size:
        return Window(ceil_mode=ceil_mode)
    best: Window | None = None
    for stride in range(max(1, size // wanted - 1), -(-size // wanted) + 1):
        for kernel, padding in _pool_kernels(stride):
            window = Window(kernel, stride, padding, ceil_mode=ceil_mode)
            try:
                fits = pool_size(size, kernel, stride, padding, ceil_mode=ceil_mode) == wanted
            except SizeError:
                continue
            if not fits:
                continue
            if follow is not None and FloorMap.pool(kernel, stride, padding, ceil_mode=ceil_mode) == follow:
                return window
            if best is None or kernel - stride + padding < best.kernel - best.stride + best.padding:
                best = window
    return best


def _pool_kernels(stride: int) -> Iterator[tuple[int, int]]:
    """Kernels that leave no position out: the stride itself, then wider ones that overlap, then padded ones."""
    for kernel in range(stride, stride + 4):
        for padding in range(min(kernel // 2, 1) + 1):
            yield kernel, padding


def _transposed_windows(sizes: Shape, wanted: Shape) -> tuple[Window, ...] | None:
    if any(t < h for h, t in zip(sizes, wanted, strict=True)):
        return None
    found = [_transposed_window(h, t) for h, t in zip(sizes, wanted, strict=True)]
    return None if None in found else tuple(window for window in found if window is not None)


def _transposed_window(size: int, wanted: int) -> Window | None:
    if size == wanted:
        return Window()
    for stride in (wanted // size, wanted // size + 1):
        for kernel in range(stride, stride + 4):
            for padding in range(kernel // 2 + 1):
                spare = wanted - ((size - 1) * stride - 2 * padding + kernel)
                if 0 <= spare < stride:
                    return Window(kernel, stride, padding, spare)
    return None
