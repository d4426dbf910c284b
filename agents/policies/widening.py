"""Weights of a policy that sees fewer features, in the shape of one that sees more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch as th

from .client_set import CONTEXT_COUNTS

CLIENT_IN = "encoder.client_in.weight"
SERVER_IN = "encoder.server_in.weight"
ZONE_IN = "encoder.zone_in.weight"
FROM_CONTEXT = "from_context.weight"
"""Names of the layers of `set_network` whose width depends on the features."""

Columns = Mapping[str, Sequence[str]]


def widened(weights: Mapping[str, th.Tensor], known: Columns, wanted: Columns) -> dict[str, th.Tensor]:
    """The same networks with further features, at which they do not look yet: those have weights of 0.

    What the networks say is the same, to rounding, whatever the further features are.

    Args:
        weights: by name, of a policy with a `SetActor` and a `SetCritic`.
        known: names of the features of `clients` and `server` that it sees, in their order.
        wanted: of those that it is to see. Where some of the known ones are missing, or networks see other
            things as well (several rounds at once, the future), their weights are left as they are.
    """
    found = dict(weights)
    if any(not set(known[part]) <= set(wanted[part]) for part in ("clients", "server")):
        return found
    clients, server = ([*map(wanted[part].index, known[part])] for part in ("clients", "server"))
    more, width = len(wanted["clients"]), len(wanted["server"])
    for prefix in [name.removesuffix(CLIENT_IN) for name in weights if name.endswith(CLIENT_IN)]:
        client_in, server_in = weights[prefix + CLIENT_IN], weights[prefix + SERVER_IN]
        zone_in, from_context = weights[prefix + ZONE_IN], weights[prefix + FROM_CONTEXT]
        if (client_in.shape[1], server_in.shape[1]) != (len(clients), len(server)):
            continue
        between = CONTEXT_COUNTS + 2 * zone_in.shape[0]
        pooled = from_context.shape[1] - len(clients) - between - len(server)
        after = pooled + more  # where the counts begin
        context = [*range(pooled), *(pooled + place for place in clients), *range(after, after + between)]
        context += [after + between + place for place in server]
        found[prefix + CLIENT_IN] = _spread(client_in, clients, more)
        found[prefix + SERVER_IN] = _spread(server_in, server, width)
        found[prefix + FROM_CONTEXT] = _spread(from_context, context, after + between + width)
    return found


def _spread(matrix: th.Tensor, places: Sequence[int], width: int) -> th.Tensor:
    """`[H, width]` with the columns of `[H, F]` at these places, and zeros elsewhere."""
    found = matrix.new_zeros((matrix.shape[0], width))
    found[:, list(places)] = matrix
    return found
