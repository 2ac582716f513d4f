"""What a change or a network costs, in the units the field counts in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters, multiply-adds and activation bytes: of a recorded batch, or `for_one` input of it.

    `macs` counts convolutions, linear layers and matrix products only, without bias, as the papers do.
    `activation_bytes` is what the operations' outputs occupy.
    """

    num_parameters: int = 0
    macs: int = 0
    activation_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.num_parameters + other.num_parameters,
            self.macs + other.macs,
            self.activation_bytes + other.activation_bytes,
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            self.num_parameters - other.num_parameters,
            self.macs - other.macs,
            self.activation_bytes - other.activation_bytes,
        )

    def for_one(self, batch: int) -> "Cost":
        """Of one input out of a batch: what is computed is shared out, parameters are not."""
        return Cost(self.num_parameters, round(self.macs / batch), round(self.activation_bytes / batch))

    def __str__(self) -> str:
        return f"{self.num_parameters:+,} parameters, {self.macs:+,} MACs, {self.activation_bytes:+,} activation bytes"
