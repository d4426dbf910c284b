"""What is known of the answers: shares of right ones over hours, and Page's test for a change."""

from __future__ import annotations

import numpy as np

from ...common.arrays import Bools, Floats, Ints

CLIENT_H, FAST_H, SLOW_H = 2.0, 1.0, 8.0
"""Hours over which the exponential means of a client's answers, and of all clients', forget."""
DRIFT_MARGIN = 0.005
"""Page's delta: wrong answers above the mean that are no sign of a change."""
ALARM = 50.0
"""Page's lambda: wrong answers too many at which he says that something has changed."""


class KnownAnswers:
    """Running means of known answers, for E environments of N clients.

    Args:
        num_envs: E.
        num_clients: N.

    Attributes:
        page_hinkley: `[E]`, statistic over its threshold, capped at 1; it begins anew after an alarm.
    """

    def __init__(self, num_envs: int, num_clients: int):
        shape = (num_envs, num_clients)
        self._client = np.zeros((2, *shape))  # right answers and answers, decayed
        self._fast, self._slow = np.zeros((3, num_envs)), np.zeros((3, num_envs))  # and losses
        self._start = np.zeros((2, num_envs))  # accuracy and loss of the untrained model
        self._total = np.zeros((2, num_envs))  # wrong answers and answers since the last alarm
        self._above, self._lowest = np.zeros(num_envs), np.zeros(num_envs)
        self.page_hinkley = np.zeros(num_envs)

    def reset(self, envs: Bools, accuracy: Floats, loss: Floats) -> None:
        """New episodes in the rows of `envs`, whose untrained models score so on the validation set."""
        for table in (self._client, self._fast, self._slow, self._total):
            table[:, envs] = 0.0
        for row in (self._above, self._lowest, self.page_hinkley):
            row[envs] = 0.0
        self._start[:, envs] = np.stack([accuracy, loss])[:, envs]

    def enter(self, hours: Floats, labels: Ints, right: Ints, loss: Floats) -> None:
        """Time passes, and labels become known at its end.

        Args:
            hours: `[E]`.
            labels: `[E, N]`.
            right: `[E, N]`, how many of the answers were right.
            loss: `[E]`, sum of their losses.
        """
        self._client *= np.exp(-hours / CLIENT_H)[:, None]
        self._client += np.stack([right, labels])
        sums = np.stack([right.sum(axis=1), labels.sum(axis=1), loss])
        for table, window_h in ((self._fast, FAST_H), (self._slow, SLOW_H)):
            table *= np.exp(-hours / window_h)
            table += sums
        self._test_for_change(sums[1] - sums[0], sums[1])

    def _test_for_change(self, wrong: Floats, labels: Floats) -> None:
        """Page's test on batches of answers: the excess of wrong ones over their mean so far."""
        alarmed = self.page_hinkley >= 1.0
        for table in (self._total[0], self._total[1], self._above, self._lowest):
            table[alarmed] = 0.0
        self._total += np.stack([wrong, labels])
        mean = self._total[0] / np.maximum(self._total[1], 1.0)
        self._above += wrong - labels * (mean + DRIFT_MARGIN)
        self._lowest = np.minimum(self._lowest, self._above)
        self.page_hinkley = np.minimum((self._above - self._lowest) / ALARM, 1.0)

    @property
    def right_share(self) -> Floats:
        """`[E, N]`, of each client's answers; nan before its first label."""
        right, labels = self._client
        return np.asarray(np.divide(right, labels, out=np.full_like(right, np.nan), where=labels > 0))

    @property
    def fast(self) -> Floats:
        """`[E]`, share of right answers of all clients over an hour."""
        return self._mean(self._fast, 0)

    @property
    def slow(self) -> Floats:
        """`[E]`, over eight hours."""
        return self._mean(self._slow, 0)

    @property
    def loss(self) -> Floats:
        """`[E]`, mean loss over an hour."""
        return self._mean(self._fast, 2)

    def _mean(self, table: Floats, row: int) -> Floats:
        start = self._start[min(row, 1)]
        return np.asarray(np.divide(table[row], table[1], out=start.copy(), where=table[1] > 0))
