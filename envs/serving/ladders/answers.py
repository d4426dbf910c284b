"""What requests ask about, what models really answer, and what asking the hub makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....common.arrays import Floats, Ints
from ....fl_core.numerics import uniform_bits, uniform_index
from .answers_kernels import ASKED_RIGHT, BELOW, FIRST_BIN, KEPT_RIGHT, RIGHT, cell_statistics
from .trained import Answers


@dataclass(frozen=True)
class Given:
    """Answers of one step."""

    answered: Floats  # [E, I]
    right: Floats  # [E, I] in expectation over the requests whose rows were not run
    asked: Floats  # [E, Z, S] of each slot's answers, asked of the hub
    bins: Floats  # [3, E, I, T] slots' answers by confidence: all, asked, agreed


def asked_rows(rows: Ints, content_seed: Ints, number: Ints) -> Ints:
    """`[E, Z, I, K]`, the rows that requests of these numbers ask about.

    Args:
        rows: `[E, Z, P]`, rows of each zone.
        content_seed: `[E]`.
        number: `[E, Z, I, K]`, of requests, from the first of a zone and task on.
    """
    e, z, i, _ = number.shape
    zone, task = np.arange(z)[:, None, None], np.arange(i)[:, None]
    bits = uniform_bits(content_seed[:, None, None, None], zone, task, number)
    place = uniform_index(bits, rows.shape[2])
    asked: Ints = rows[np.arange(e)[:, None, None, None], zone, place]
    return asked


class RealAnswers:
    """Requests of E environments and the answers of trained models to them.

    Request number n of zone z and task i asks about the row that random bits of (episode, z, i, n) choose
    among the zone's. The first rows of a step's requests, at most `rows_per_cell` of a zone and task, are
    answered by every rung; the others are counted at their mean, which is unbiased as their rows are drawn
    alike. If there are no more than that, everything is exact.

    Args:
        answers: of the ladder, to the rows of the split.
        rows_per_cell: most rows that are run of one zone and task in one step.
        levels: `[T]`, of the threshold.
    """

    def __init__(self, answers: Answers, rows_per_cell: int, levels: Floats):
        self._answers, self._most, self._levels = answers, rows_per_cell, levels

    def statistics(
        self, rows: Ints, content_seed: Ints, first: Ints, requests: Floats, threshold: Floats
    ) -> Floats:
        """`[E, Z, I, M, C]`, see `cell_statistics`.

        Args:
            rows: `[E, Z, P]`, rows of each zone.
            content_seed: `[E]`.
            first: `[E, Z, I]`, number of the first request of the step.
            requests: `[E, Z, I]`, that are to be answered.
            threshold: `[E, I]`.
        """
        count = np.clip(np.ceil(requests), 0, self._most).astype(np.int64)
        number = first[..., None] + np.arange(self._most)
        asked = asked_rows(rows, content_seed, number)
        a = self._answers
        return cell_statistics(asked, count, threshold, self._levels, a.right, a.confidence, a.choice)

    def given(self, statistics: Floats, slots: Floats, hub: Floats, model: Ints, hub_room: Floats) -> Given:
        """What comes of an assignment.

        Args:
            statistics: of the cells.
            slots: `[E, Z, S]`, requests that each slot answers.
            hub: `[E, Z, I]`, that the hub answers.
            model: `[E, S]`, of each slot; NOTHING = none.
            hub_room: `[E]`, answers that the hub can still give to slots that are not sure; if there are more
                of these, as many of all keep their own answer.
        """
        e, z, i, m, _ = statistics.shape
        s, bins = model.shape[1], self._levels.size
        task, rung = np.maximum(model, 0) // m, np.maximum(model, 0) % m
        env, zone = np.arange(e)[:, None, None], np.arange(z)[None, :, None]
        cells = statistics[env, zone, task[:, None, :], rung[:, None, :]]
        unsure = slots * cells[..., BELOW]
        total = unsure.sum(axis=(1, 2))
        admitted = np.minimum(1.0, hub_room / np.maximum(total, 1e-12))[:, None, None]
        kept_unsure = slots * (cells[..., RIGHT] - cells[..., KEPT_RIGHT])
        right = slots * cells[..., KEPT_RIGHT] + (1.0 - admitted) * kept_unsure
        right = right + admitted * slots * cells[..., ASKED_RIGHT]
        of_task = (task[:, :, None] == np.arange(i)) & (model >= 0)[:, :, None]
        by_task = of_task.astype(np.float64)
        answered = slots.sum(axis=1)[:, None, :] @ by_task
        rights = right.sum(axis=1)[:, None, :] @ by_task
        blocks = cells[..., FIRST_BIN:].reshape(e, z, s, 3, bins) * slots[..., None, None]
        blocks[..., 1:, :] *= admitted[..., None, None]
        by_bin = np.moveaxis(np.einsum("eskt,esi->ekit", blocks.sum(axis=1), by_task), 1, 0)
        hub_right = (hub * statistics[:, :, :, m - 1, RIGHT]).sum(axis=1)
        return Given(answered[:, 0] + hub.sum(axis=1), rights[:, 0] + hub_right, admitted * unsure, by_bin)
