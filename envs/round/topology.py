"""Overlay topologies for cross-silo training without a server: their cycle time, and good ones.

Marfoq, Xu, Neglia and Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning" (NeurIPS
2020). Silo i computes for `compute_s[i]` and then sends its model to its out-neighbours in the overlay; it
goes on as soon as the models of its in-neighbours are there. Rounds then follow each other at the *cycle
time*: the largest mean delay over the circuits of the overlay, a max-plus eigenvalue.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...common.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Network:
    """N silos and the links between them."""

    compute_s: Floats  # [N] seconds of local work in a round
    up_bytes_per_s: Floats  # [N] what a silo can send, shared by its out-neighbours
    down_bytes_per_s: Floats  # [N] what it can receive, shared by its in-neighbours
    model_bytes: float  # size of what is exchanged
    latency_s: Floats | None = None  # [N, N] from row to column; None = 0
    core_bytes_per_s: Floats | None = None  # [N, N] between two silos' access links; None = no limit

    @property
    def size(self) -> int:
        """N."""
        return int(self.compute_s.size)

    def delay_s(self, overlay: Bools) -> Floats:
        """Delays on the arcs of an overlay, whose degrees divide the access links.

        Args:
            overlay: bool `[N, N]`, arcs from row to column.

        Returns:
            `[N, N]`: `compute_i + latency + model / min(up_i / out-degree, down_j / in-degree,
            core)` on arcs, `compute_i` on the diagonal, `-inf` elsewhere.
        """
        arcs = overlay & ~np.eye(self.size, dtype=bool)
        out, into = np.maximum(1, arcs.sum(axis=1)), np.maximum(1, arcs.sum(axis=0))
        rate = np.minimum((self.up_bytes_per_s / out)[:, None], (self.down_bytes_per_s / into)[None, :])
        delay = np.where(arcs, self._delay_s(rate), -np.inf)
        np.fill_diagonal(delay, self.compute_s)
        return delay

    def direct_delay_s(self) -> Floats:
        """`[N, N]`, delays between silos that have no other neighbours; `compute_i` on the diagonal."""
        rate = np.minimum(self.up_bytes_per_s[:, None], self.down_bytes_per_s[None, :])
        delay = self._delay_s(rate)
        np.fill_diagonal(delay, self.compute_s)
        return delay

    def _delay_s(self, rate: Floats) -> Floats:
        core = np.inf if self.core_bytes_per_s is None else self.core_bytes_per_s
        latency = 0.0 if self.latency_s is None else self.latency_s
        return np.asarray(self.compute_s[:, None] + latency + self.model_bytes / np.minimum(rate, core))

    def cycle_time_s(self, overlay: Bools) -> float:
        """Seconds per round of an overlay."""
        return cycle_time_s(self.delay_s(overlay))


def cycle_time_s(delay_s: Floats) -> float:
    """The largest mean weight of a circuit, by Karp's algorithm (Discrete Mathematics 23, 1978).

    `max over v of min over k < n of (D_n(v) - D_k(v)) / (n - k)`, D_k(v) the heaviest walk of k arcs that
    ends in v. O(n^3).

    Args:
        delay_s: `[n, n]`, `-inf` where there is no arc.

    Returns:
        The maximum cycle mean; `-inf` without circuits.
    """
    n = len(delay_s)
    walks = np.zeros((n + 1, n))
    for k in range(n):
        walks[k + 1] = (walks[k][:, None] + delay_s).max(axis=0)
    ends = np.isfinite(walks[n])
    if not ends.any():
        return -np.inf
    lengths = (n - np.arange(n))[:, None]
    return float(((walks[n, ends] - walks[:n, ends]) / lengths).min(axis=0).max())


def star(network: Network) -> Bools:
    """Everybody exchanges models with one silo, the best one for it."""
    stars = [
        _edges(network.size, [(centre, k) for k in range(network.size)]) for centre in range(network.size)
    ]
    return min(stars, key=network.cycle_time_s)


def ring(network: Network) -> Bools:
    """A directed ring along a short tour, Christofides' construction improved by 2-opt.

    Nobody has more than one neighbour each way, so the delays are the direct ones; a tour of small total
    delay makes a ring of small cycle time (a 3N-approximation in the paper). The better direction is taken.
    """
    n = network.size
    if n < 3:
        return _edges(n, [(0, n - 1)])
    tour = _two_opt(_christofides(_weights(network)), _weights(network))
    rings = []
    for order in (tour, tour[::-1]):
        overlay = np.zeros((n, n), dtype=bool)
        overlay[order, np.roll(order, -1)] = True
        rings.append(overlay)
    return min(rings, key=network.cycle_time_s)


def mst(network: Network) -> Bools:
    """The minimum spanning tree of the delays both ways, used both ways (Prim).

    Optimal among undirected overlays where access links are no bottleneck, since the circuits of a tree that
    matter are its edges, both ways.
    """
    return _edges(network.size, _prim(_weights(network), network.size))


def mbst(network: Network) -> Bools:
    """Trees of bounded degree and small bottleneck, the best of them by cycle time (the paper's Algorithm 1).

    Where access links are the bottleneck a silo with many neighbours is slow. Candidates are the trees that
    Prim's algorithm grows with at most 2, 3, ... neighbours each, and a path through the cube of the minimum
    spanning tree. A 6-approximation among undirected overlays in a Euclidean network.
    """
    weights, n = _weights(network), network.size
    path = _cube_path(_prim(weights, n), n)
    trees = [list(itertools.pairwise(path))]
    trees += [_prim(weights, degree) for degree in range(2, n)]
    return min((_edges(n, tree) for tree in trees), key=network.cycle_time_s)


def best(network: Network) -> Bools:
    """The fastest of `star`, `ring`, `mst` and `mbst`; of equally fast ones that with the fewest arcs."""
    built = [build(network) for build in (ring, mst, mbst, star)]
    return min(built, key=lambda overlay: (network.cycle_time_s(overlay), int(overlay.sum())))


BUILDERS: dict[str, Callable[[Network], Bools]] = {
    "star": star,
    "ring": ring,
    "mst": mst,
    "mbst": mbst,
    "best": best,
}
"""Overlays by name."""


def _weights(network: Network) -> Floats:
    """`[N, N]`, mean delay of both ways; infinite on the diagonal."""
    delay = network.direct_delay_s()
    weights = (delay + delay.T) / 2
    np.fill_diagonal(weights, np.inf)
    return np.asarray(weights)


def _edges(n: int, edges: list[tuple[int, int]]) -> Bools:
    """The overlay with these edges, both ways."""
    overlay = np.zeros((n, n), dtype=bool)
    for i, j in edges:
        overlay[i, j] = overlay[j, i] = i != j
    return overlay


def _prim(weights: Floats, most_neighbours: int) -> list[tuple[int, int]]:
    """Edges of the tree that grows by the lightest edge to a silo with room for another neighbour."""
    n = len(weights)
    inside, degree = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    inside[0] = True
    edges: list[tuple[int, int]] = []
    while not inside.all():
        allowed = (inside & (degree < most_neighbours))[:, None] & ~inside[None, :]
        i, j = divmod(int(np.argmin(np.where(allowed, weights, np.inf))), n)
        edges.append((i, j))
        inside[j] = True
        degree[[i, j]] += 1
    return edges


def _cube_path(tree: list[tuple[int, int]], n: int) -> list[int]:
    """A path through all silos whose steps are at most three edges of the tree (Sekanina 1960)."""
    if n == 1:
        return [0]
    neighbours: list[set[int]] = [set() for _ in range(n)]
    for i, j in tree:
        neighbours[i].add(j)
        neighbours[j].add(i)

    def walk(start: int, end: int) -> list[int]:
        """Through the component of the edge from start to end, beginning and ending at it."""
        neighbours[start].remove(end)
        neighbours[end].remove(start)
        first = walk(start, min(neighbours[start])) if neighbours[start] else [start]
        last = walk(min(neighbours[end]), end) if neighbours[end] else [end]
        return first + last

    return walk(*tree[0])


def _christofides(weights: Floats) -> Ints:
    """A tour: spanning tree, the odd silos paired (nearest pairs first), an Euler circuit cut short."""
    n = len(weights)
    links: list[list[int]] = [[] for _ in range(n)]
    tree = _prim(weights, n)
    degree = np.bincount(np.array(tree).ravel(), minlength=n)
    odd = np.flatnonzero(degree % 2)
    pairs, single = weights[np.ix_(odd, odd)].copy(), []
    while np.isfinite(pairs).any():
        a, b = divmod(int(np.argmin(pairs)), odd.size)
        single.append((int(odd[a]), int(odd[b])))
        pairs[[a, b], :] = pairs[:, [a, b]] = np.inf
    for i, j in [*tree, *single]:
        links[i].append(j)
        links[j].append(i)
    stack, circuit = [0], []
    while stack:
        silo = stack[-1]
        if links[silo]:
            following = links[silo].pop()
            links[following].remove(silo)
            stack.append(following)
        else:
            circuit.append(stack.pop())
    return np.array(list(dict.fromkeys(circuit)), dtype=np.int64)


def _two_opt(tour: Ints, weights: Floats) -> Ints:
    """Turns parts of the tour round while that shortens it."""
    n = tour.size
    upper = np.triu(np.ones((n, n), dtype=bool), 2)
    while True:
        after = np.roll(tour, -1)
        step = weights[tour, after]
        change = weights[np.ix_(tour, tour)] + weights[np.ix_(after, after)] - step[:, None] - step[None, :]
        change[~upper | ~np.isfinite(change)] = 0.0
        i, j = divmod(int(np.argmin(change)), n)
        if change[i, j] >= -1e-12 * max(1.0, float(step.sum())):
            return tour
        tour = tour.copy()
        tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
