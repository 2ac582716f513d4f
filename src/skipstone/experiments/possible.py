"""What no run of a comparison could be is refused before the first of them begins."""

from collections.abc import Sequence

from skipstone.runs.records import RunSpec


def demand_possible(specs: Sequence[RunSpec], *, here: bool = True) -> None:
    """See that each data set has a name, each device is there (`here`, on this machine), and each network
    can be built.

    Whether a network takes the data's images is seen in its own run, which fails alone.

    Raises:
        SkipstoneError: one of them is not, with its own words.
    """
    # Torch is loaded by what trains, not by what reads records: the report does without.
    from skipstone.data.sources import demand_known
    from skipstone.models.target import outline
    from skipstone.training.fabric import make_fabric

    for name in {spec.data for spec in specs}:
        demand_known(name)
    for device, precision in {(spec.device, spec.recipe.precision) for spec in specs if here}:
        make_fabric(device, precision)
    networks = {(spec.model, repr(spec.options)): spec for spec in specs}
    for spec in networks.values():
        outline(spec.model, **spec.options)
