"""Markov languages: text whose entropy is known exactly, a dialect per client."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ...common.arrays import Floats, Floats32, Ints
from ...common.sizes import check_values
from .dataset import DATASETS, Dataset, DatasetSource, language_data
from .score import GapClosed

_MOST_TURNS = 100_000
_STILL = 1e-13


@dataclass(frozen=True)
class MarkovSource:
    """One stationary language: the next symbol depends on the last few.

    Attributes:
        table: `[S, ..., S]`, `table[a, b, c]` is the probability of c after a, b.
    """

    table: Floats

    @property
    def symbols(self) -> int:
        """Number S of symbols."""
        return int(self.table.shape[-1])

    @property
    def order(self) -> int:
        """Symbols that the next one depends on."""
        return self.table.ndim - 1

    def stationary(self) -> Floats:
        """`[S, ..., S]`, how often each context of `order` symbols comes up in the long run."""
        now: Floats = np.full(self.table.shape[:-1], float(self.symbols) ** -self.order)
        for _ in range(_MOST_TURNS):
            # Half of the mass stays: a language that goes round in circles settles too, at the same place.
            coming = 0.5 * now + 0.5 * (now[..., None] * self.table).sum(axis=0)
            change = float(np.abs(coming - now).sum())
            now = coming
            if change < _STILL:
                break
        settled: Floats = now / now.sum()
        return settled

    def entropy_rate(self) -> float:
        """Nats per symbol that no model of any length of context comes below."""
        return float((self.stationary()[..., None] * _surprise(self.table)).sum())

    def floor(self, context: int) -> float:
        """Nats per symbol, at best, over a row of `context` predictions: the first ones know less.

        The entropy of symbol j + 1 given the j before it, averaged over j = 1 to `context`.
        """
        block = self.stationary()[..., None] * self.table  # `order` + 1 symbols in a row
        entropy = [_entropy(block)]
        while block.ndim > 1:
            block = block.sum(axis=0)
            entropy.insert(0, _entropy(block))
        known = np.minimum(np.arange(1, context + 1), self.order)
        return float(np.mean([entropy[k] - entropy[k - 1] for k in known]))

    def frequencies(self) -> Floats:
        """`[S]`, how often each symbol comes up."""
        found: Floats = self.stationary().sum(axis=tuple(range(self.order - 1)))
        return found

    def write(self, rows: int, length: int, rng: np.random.Generator) -> Ints:
        """`[rows, length]`, texts that begin in the middle of the language."""
        s, order = self.symbols, self.order
        text = np.empty((rows, max(length, order)), dtype=np.int64)
        context = rng.choice(s**order, size=rows, p=self.stationary().ravel())
        text[:, :order] = np.stack(np.unravel_index(context, (s,) * order), axis=1)
        sums = np.cumsum(self.table.reshape(-1, s), axis=1)
        for at in range(order, length):
            draws = rng.random((rows, 1))
            text[:, at] = np.minimum((draws >= sums[context]).sum(axis=1), s - 1)
            context = (context * s + text[:, at]) % s**order
        return text[:, :length]


def _surprise(p: Floats) -> Floats:
    """`-p log p`, 0 where p is."""
    return np.asarray(-p * np.log(np.where(p > 0, p, 1.0)))


def _entropy(p: Floats) -> float:
    return float(_surprise(p).sum())


@DATASETS.register("markov")
class Markov(DatasetSource):
    """A Markov language whose clients speak dialects, with exact floor and unigram entropy.

    All clients share a table of next-symbol probabilities with Dirichlet rows; each row of a client's own
    is Dirichlet around the shared one, with a total concentration of `1 / clients`. Rows are texts of
    `context + 1` symbols: features are all of them, a model of language reads the first `context` and
    predicts each one's successor; the label is the last. `Dataset.natural_client` says who wrote a row.

    The score is the share of the gap between unigram and floor that is closed (`GapClosed`). The floor is
    the mean over the dialects of what a reader who knows the dialect cannot know; one model for all comes
    close to it only where dialects are alike: at the defaults the shared table scores three quarters.

    Attributes:
        symbols: S, the vocabulary.
        order: symbols that the next one depends on.
        concentration: of the Dirichlet rows; small = nearly certain successors.
        clients: how far dialects differ from the shared table; 0 = one language for all.
        family: how far the shared table is from that of its family, which is spoken at 0 with the same
            symbols, order and concentration: what a base has read that is to be fine-tuned to this language.
        context: symbols that a model reads.
        num_clients: speakers of the natural partition.
        rows: training texts of each speaker.
        val_rows: validation texts of each speaker; as many again are for testing.
    """

    symbols: int = Field(default=16, ge=2, le=256)
    order: int = Field(default=2, ge=1, le=4)
    concentration: float = Field(default=0.15, gt=0)
    clients: float = Field(default=0.3, ge=0, le=100)
    family: float = Field(default=0.0, ge=0, le=100)
    context: int = Field(default=16, ge=1, le=1024)
    num_clients: int = Field(default=16, ge=1)
    rows: int = Field(default=240, ge=1)
    val_rows: int = Field(default=40, ge=1)

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        tables = (self.num_clients + 1, *[self.symbols] * (self.order + 1))
        check_values("dataset: its tables", *tables, do="take fewer symbols, a lower order or fewer clients")
        texts = (self.num_clients, self.rows + 2 * self.val_rows, self.context + 1)
        check_values("dataset: its texts", *texts, do="take fewer rows or clients, or a shorter context")
        rng = np.random.default_rng(rng_seed)
        dialects = self.dialects(rng)
        cuts = [self.rows, self.rows + self.val_rows]
        parts: list[list[Floats32]] = [[], [], []]
        for dialect in dialects:
            text = dialect.write(texts[1], texts[2], rng).astype(np.float32)
            for part, piece in zip(parts, np.split(text, cuts), strict=True):
                part.append(piece)
        frequencies = np.mean([dialect.frequencies() for dialect in dialects], axis=0)
        floor = float(np.mean([dialect.floor(self.context) for dialect in dialects]))
        return language_data(
            f"markov({self.symbols}, order {self.order})",
            [np.concatenate(part) for part in parts],
            self.symbols,
            np.repeat(np.arange(self.num_clients, dtype=np.int32), self.rows),
            GapClosed(_entropy(frequencies), floor),
        )

    def dialects(self, rng: np.random.Generator) -> list[MarkovSource]:
        """The language of each client."""
        shape = (self.symbols,) * self.order
        shared = _dirichlet(np.full((*shape, self.symbols), self.concentration), rng)
        if self.family > 0:
            shared = _dirichlet(shared / self.family, rng)
        if self.clients == 0:
            return [MarkovSource(shared)] * self.num_clients
        return [MarkovSource(_dirichlet(shared / self.clients, rng)) for _ in range(self.num_clients)]


def _dirichlet(concentration: Floats, rng: np.random.Generator) -> Floats:
    """Dirichlet rows; a floor far below anything that is ever drawn keeps every symbol possible."""
    gamma = rng.standard_gamma(np.maximum(concentration, 1e-6)) + 1e-9
    return np.asarray(gamma / gamma.sum(axis=-1, keepdims=True))
