"""A table of positions that stand for the places of a map, interpolated as a map to the other operand's tokens.

The first positions may stand for no place (class tokens): they stay. Stretching the flat list would shear the rows.
Vision transformers are fine-tuned at other sizes in this way (2010.11929, section 3.2).
"""

import torch

from skipstone.surgery.transforms.meaning import Meaning


def interpolate_grid_like(
    x: torch.Tensor, like: torch.Tensor, axes: tuple[int, int], grid: tuple[int, int, int, int, int]
) -> torch.Tensor:
    """The places of x, along the first of axes, interpolated to the tokens of like, along the second.

    grid: how many positions at the front stay, the rows and columns of x and those of like, at one size; at other sizes
    those next to the same ratio.
    """

    def rows_of(count: int, tall: int, wide: int) -> int:
        whole = [rows for rows in range(1, count + 1) if count % rows == 0]
        return min(whole, key=lambda rows: abs(rows * rows * wide - count * tall))

    if x.shape[axes[0]] == like.shape[axes[1]]:
        return x
    first, rows, columns, tall, wide = grid
    places, wanted = x.movedim(axes[0], -1)[..., first:], like.shape[axes[1]] - first
    rows, tall = rows_of(places.shape[-1], rows, columns), rows_of(wanted, tall, wide)
    maps = torch.nn.functional.interpolate(
        places.reshape(1, -1, rows, places.shape[-1] // rows), size=(tall, wanted // tall), mode="bilinear"
    )
    resized = maps.reshape(*places.shape[:-1], -1).movedim(-1, axes[0])
    return torch.cat([x.narrow(axes[0], 0, first), resized], axes[0])


MEANING = Meaning(
    lambda use: lambda x, like, holder: interpolate_grid_like(x, like, use.axes, use.grid),  # type: ignore[arg-type]
    lambda use, x, like: f"interpolate_grid_like({x}, {like}, {use.axes}, {use.grid})",
    "interpolate {operand} as a map of positions to the number of tokens of {like}",
    lambda use: interpolate_grid_like,
)
