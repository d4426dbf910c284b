"""A second simulator, an episode at a time: plain loops over clients, phases and pieces of a grid's curve.

It shares with the world only what an episode is drawn from (`PopulationSource.draw`), the numbers that name
minibatches, and the choice of an overlay's arcs. Everything else follows the rules of docs/mechanics.md anew,
in double precision, so that an error would have to be made twice.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.round import BUILDERS, Network
from frugalfl.fl_core.aggregation import COMPRESSIONS
from frugalfl.fl_core.federation import probe_stream
from frugalfl.fl_core.numerics import minibatch_positions, uniform_bits

J_PER_KWH = 3.6e6
PER_CLIENT = (
    *("invited", "completed", "lost", "cancelled", "answered", "stop_s", "compute_s"),
    *("down_bytes", "up_bytes", "sample_bytes", "energy_j", "emissions_g", "wasted_j"),
)


@dataclass
class Orders:
    """One decision of one episode."""

    steps: np.ndarray  # [N]
    samples: np.ndarray  # [N]
    quorum: float
    wait_s: float
    weights: np.ndarray | None  # [N], or the aggregator's
    probes: np.ndarray  # [N]
    server_step: float


@dataclass
class Job:
    """What one client has been asked to do."""

    steps: int
    sent: int
    lead_bytes: float
    down_s: float
    compute_s: float
    up_s: float
    left_s: float  # of its session, when it was asked
    held: int
    version: int
    round: int
    weight: float | None
    probe: int = 0
    worked_s: float = 0.0
    done: bool = False
    spent_j: float = 0.0

    @property
    def finish_s(self) -> float:
        return self.down_s + self.compute_s + self.up_s

    @property
    def quit_s(self) -> float:
        return min(self.finish_s, self.left_s)

    @property
    def survives(self) -> bool:
        return self.left_s >= self.finish_s


@dataclass
class Expected:
    """What a decision should come to."""

    duration_s: float = 0.0
    repairs: int = 0
    loss: dict[int, float] = field(default_factory=dict)  # reported, by client
    probed_loss: dict[int, float] = field(default_factory=dict)
    clients: dict[str, np.ndarray] = field(default_factory=dict)  # [N] each, by name


def _settings(spec: object) -> dict[str, object]:
    return {"kind": spec} if isinstance(spec, str) else dict(spec)


class SlowEpisode:
    """One episode of a world without personal models."""

    def __init__(self, source: PopulationSource, seed: int, model: np.ndarray):
        scenario = source.scenario
        self.source, self.scenario, self.draw = source, scenario, source.draw(seed)
        self.task, self.n = self.draw.task, scenario.clients
        self.held = [int(x) for x in self.task.own]
        self.own, self.capacity = list(self.held), [int(x) for x in self.task.capacity]
        self.warm, self.has_model = set(), set()
        self.late: dict[int, Job] = {}
        self.models = [model.astype(np.float64)]  # by version
        core = source.make_core(1)
        self.aggregator, self.traffic = core.aggregator.name, core.aggregator.traffic
        self.upload_share = core.upload_share
        self.settings = _settings(scenario.all_in_all_aggregator)
        self.compression = None if scenario.compression is None else COMPRESSIONS.choose(scenario.compression)
        size = model.size
        self.momentum, self.buffer, self.buffered = np.zeros(size), np.zeros(size), 0
        self.unsent: dict[int, np.ndarray] = {}
        self.control, self.controls = np.zeros(size), np.zeros((self.n, size))
        self.moves: dict[int, np.ndarray] = {}
        self.time_s, self.rounds, self.decisions, self.running = 0.0, 0, 0, True
        self.totals = dict.fromkeys(["hours", "gigabytes", "kilowatt_hours", "kilograms", "wasted_kwh"], 0.0)

    # --- the clock

    def session_end(self, k: int) -> float | None:
        sessions = self.draw.availability.sessions
        for start, end in zip(sessions.start_s[k], sessions.end_s[k], strict=True):
            if start <= self.time_s < end:
                return float(end)
        return None

    def grams(self, k: int, joules: float, begin_s: float, end_s: float) -> float:
        """Of an energy spent evenly between two times, piece by piece of the grid's curve."""
        curve, zone, total, t = self.draw.carbon, self.draw.zone[k], 0.0, begin_s
        while t < end_s:
            piece = math.floor((t - curve.first_s) / curve.step_s)
            until = min(curve.first_s + (piece + 1) * curve.step_s, end_s)
            until = end_s if until <= t else until  # at the edge of a piece, within rounding
            total += curve.g_per_kwh[zone, min(max(piece, 0), curve.g_per_kwh.shape[1] - 1)] * (until - t)
            t = until
        return joules / J_PER_KWH * total / (end_s - begin_s) if end_s > begin_s else 0.0

    def ask(self, orders: Orders, out: Expected) -> dict[int, Job]:
        """Who really begins to work, on what."""
        work, devices, operator = self.source, self.draw.devices, self.draw.operator
        probing = not (orders.steps > 0).any()
        jobs: dict[int, Job] = {}
        for k in range(self.n):
            wanted, steps, probes = int(orders.samples[k]), int(orders.steps[k]), int(orders.probes[k])
            if not (probes if probing else steps):
                continue
            end, batch = self.session_end(k), work.training.batch_size
            if end is None or k in self.late or (probing and not self.held[k]):
                out.repairs += 1
                continue
            sent, compute_s, up_bytes = 0, steps * devices["step_s"][k], work.model_bytes * self.upload_share
            if probing:
                batches = math.ceil(min(probes, self.held[k]) / batch)
                compute_s, up_bytes = batches * devices["step_s"][k] / 3, 8
            else:
                nothing = not wanted and not self.held[k]
                wanted = batch if nothing else wanted
                sent = min(wanted, self.capacity[k] - self.held[k])
                out.repairs += nothing or sent < wanted
            lead = (0.0 if k in self.warm else work.setup_bytes) + work.model_bytes * self.traffic
            jobs[k] = Job(
                steps, sent, lead, (lead + sent * operator["sample_bytes"]) / devices["down_bytes_per_s"][k],
                compute_s, up_bytes / devices["up_bytes_per_s"][k], end - self.time_s, self.held[k] + sent,
                len(self.models) - 1, self.rounds, None if orders.weights is None else orders.weights[k],
                probes if probing else 0,
            )  # fmt: skip
        return jobs

    def closing_s(self, jobs: dict[int, Job], quorum: float) -> float:
        """At the quorum, when nobody is left to wait for, or at the deadline."""
        arrivals = sorted(job.finish_s for job in jobs.values() if job.survives)
        needed = max(1, math.ceil(quorum * len(jobs) - 1e-9))
        close = max((job.quit_s for job in jobs.values()), default=0.0)
        if needed <= len(arrivals):
            close = min(close, arrivals[needed - 1])
        return min(close, self.draw.operator["deadline_s"])

    def charge(self, k: int, job: Job, until_s: float, out: Expected) -> None:
        """The seconds of a job that are worked in this decision, phase by phase."""
        rows, devices = out.clients, self.draw.devices
        begins = 0.0
        for phase, length_s in (("down", job.down_s), ("compute", job.compute_s), ("up", job.up_s)):
            first = min(max(job.worked_s, begins), begins + length_s)
            last = min(max(until_s, begins), begins + length_s)
            begins += length_s
            if last <= first:
                continue
            if phase == "compute":
                rows["compute_s"][k] += last - first
                joules = (last - first) * devices["compute_watts"][k]
            else:
                speed = devices[f"{phase}_bytes_per_s"][k]
                moved = (last - first) * speed
                rows[f"{phase}_bytes"][k] += moved
                joules = moved * devices["network_j_per_byte"][k]
                if phase == "down":
                    before = max(0.0, first * speed - job.lead_bytes)
                    rows["sample_bytes"][k] += max(0.0, last * speed - job.lead_bytes) - before
            rows["energy_j"][k] += joules
            offset = self.time_s - job.worked_s
            rows["emissions_g"][k] += self.grams(k, joules, offset + first, offset + last)
        rows["stop_s"][k] = until_s - job.worked_s
        job.spent_j += rows["energy_j"][k]

    def step(self, orders: Orders) -> Expected:
        """Play one decision; the model is moved by `train`."""
        out = Expected(clients={name: np.zeros(self.n) for name in PER_CLIENT})
        rows, keeps = out.clients, self.scenario.late.kind != "drop"
        training = orders.wait_s <= 0
        jobs = self.ask(orders, out) if training else {}
        probing = training and not (orders.steps > 0).any() and (orders.probes > 0).any()
        closes = training and not probing
        overlay = self.overlay(jobs) if self.scenario.topology != "server" and not probing else None
        quorum = 1.0 if overlay else orders.quorum
        close_s = self.closing_s(jobs, quorum)
        waited_s = 0.0 if orders.wait_s == math.inf else orders.wait_s
        out.duration_s = close_s + self.draw.operator["overhead_s"] if training else waited_s
        for k in jobs:
            rows["invited"][k] = not probing
        if keeps and not probing:
            self.late.update(jobs)
        entering: dict[int, Job] = {}
        for k, job in sorted({**jobs, **self.late}.items()):
            goes_on = keeps and not job.probe
            until_s = (
                job.quit_s
                if job.done
                else min(job.quit_s, job.worked_s + (out.duration_s if goes_on else close_s))
            )
            if not job.done:
                got_all = job.worked_s < job.down_s <= until_s
                in_time = job.survives and job.finish_s <= job.worked_s + close_s
                if overlay:
                    self.charge_overlay(k, job, until_s, overlay, out)
                else:
                    self.charge(k, job, until_s, out)
                if got_all or (job.down_s == 0 and until_s >= 0):
                    self.warm.add(k)
                    self.held[k] += job.sent
                finished = job.survives and job.finish_s <= until_s
                lost = not job.survives and job.left_s <= (until_s if goes_on else close_s)
                job.worked_s = until_s
                if job.probe:
                    rows["answered"][k] = finished
                    rows["wasted_j"][k] = 0.0 if finished else job.spent_j
                    if finished:
                        out.probed_loss[k] = self.probed_loss(k, job)
                elif in_time and closes:
                    entering[k] = job
                elif lost:
                    rows["lost"][k], rows["wasted_j"][k] = 1, job.spent_j
                    self.late.pop(k, None)
                elif goes_on:
                    job.done = finished
                else:
                    rows["cancelled"][k], rows["wasted_j"][k] = 1, job.spent_j
            elif closes:
                entering[k] = job
        for k in entering:
            rows["completed"][k] = 1
            self.late.pop(k, None)
        if closes:
            self.train(entering, orders, out)
        newest = len(self.models) - 1
        for k in [k for k, job in self.late.items() if newest - job.version > self.scenario.late.max_rounds]:
            rows["cancelled"][k], rows["wasted_j"][k] = 1, self.late.pop(k).spent_j
        self.book(orders, out, closes)
        return out

    def book(self, orders: Orders, out: Expected, closes: bool) -> None:
        """Sessions that end, the sums, and the end of the episode but for its target."""
        rows, totals, budgets = out.clients, self.totals, self.draw.budgets
        for k in range(self.n):
            end = self.session_end(k)
            if out.duration_s > 0 and (end is None or end <= self.time_s + out.duration_s):
                self.warm.discard(k)
                self.unsent.pop(k, None)
                if self.scenario.hub.ephemeral:
                    self.held[k] = self.own[k]
        self.time_s += out.duration_s
        self.rounds, self.decisions = self.rounds + closes, self.decisions + 1
        totals["hours"] += out.duration_s / 3600
        totals["gigabytes"] += (rows["down_bytes"] + rows["up_bytes"]).sum() / 1e9
        totals["kilowatt_hours"] += rows["energy_j"].sum() / J_PER_KWH
        totals["kilograms"] += rows["emissions_g"].sum() / 1e3
        totals["wasted_kwh"] += rows["wasted_j"].sum() / J_PER_KWH
        spent = (totals["hours"], totals["gigabytes"], totals["kilograms"])
        limit = self.scenario.max_rounds
        over = self.rounds >= limit or self.decisions >= 10 * limit
        self.running = not (
            over or orders.wait_s == math.inf or any(s >= b for s, b in zip(spent, budgets, strict=True))
        )
        if not self.running:
            totals["wasted_kwh"] += sum(job.spent_j for job in self.late.values()) / J_PER_KWH

    # --- the model

    def train(self, entering: dict[int, Job], orders: Orders, out: Expected) -> None:
        """Local steps of whoever's update enters, and the server's step."""
        newest, deltas = len(self.models) - 1, {}
        jobs = {k: job for k, job in sorted(entering.items()) if job.held > 0}
        for k, job in jobs.items():
            deltas[k], out.loss[k] = self.local(k, job, self.models[job.version])
        kept = {k: self.compressed(k, delta) for k, delta in deltas.items()}
        step = self.aggregated(jobs, kept, newest)
        moved = self.models[-1] + self.source.training.server_learning_rate * orders.server_step * step
        if (moved.astype(np.float32) != self.models[-1].astype(np.float32)).any():
            self.models.append(moved)
        if self.scenario.topology != "server" and jobs:
            self.has_model = set(entering)

    def local(self, k: int, job: Job, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Plain SGD in double precision; the update and the mean loss of its minibatches."""
        training, w, losses = self.source.training, start.copy(), []
        rate = training.learning_rate * training.learning_rate_decay**job.round
        pull = self.control - self.controls[k] if self.aggregator == "scaffold" else 0.0
        for s in range(job.steps):
            if self.source.quadratic is not None:
                gradient, loss = self.quadratic_gradient(k, job.held, w), math.nan
            else:
                at = minibatch_positions(self.draw.model_seed, job.round, k, s, training.batch_size, job.held)
                gradient, loss = self.softmax(w, self.task.rows[self.task.offset[k] + at])
            losses.append(loss)
            w -= rate * (gradient + pull)
        if self.aggregator == "scaffold":
            self.moves[k] = -self.control - (w - start) / (job.steps * rate)
        return w - start, float(np.mean(losses))

    def softmax(self, w: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Gradient and loss of softmax regression on some training rows."""
        data, c = self.source.dataset, self.source.dataset.num_classes
        x, y = data.x_train[rows].astype(np.float64), data.y_train[rows]
        z = x @ w[:-c].reshape(c, -1).T + w[-c:]
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = float(-np.log(p[np.arange(y.size), y]).mean())
        p[np.arange(y.size), y] -= 1
        return np.concatenate([(p.T @ x).ravel(), p.sum(axis=0)]) / y.size, loss

    def quadratic_gradient(self, k: int, held: int, w: np.ndarray) -> np.ndarray:
        """Of the client's own loss, diluted with everybody's by what the hub sent."""
        task, theirs = self.task, np.zeros_like(w)
        for j in range(self.n):
            theirs += task.target_weight[j] * (task.hessian[j] @ (w - task.centre[j]))
        theta = (held - self.own[k]) / held
        return (1 - theta) * (task.hessian[k] @ (w - task.centre[k])) + theta * theirs

    def probed_loss(self, k: int, job: Job) -> float:
        """Mean loss on as many of the client's rows, those with the smallest random numbers."""
        held = self.held[k]
        if self.source.quadratic is not None:
            x = self.models[-1] - self.task.centre[k]
            return float(0.5 * x @ self.task.hessian[k] @ x)
        stream = probe_stream(np.uint64(self.draw.model_seed))
        bits = uniform_bits(stream, self.rounds, k, np.arange(held))
        rows = self.task.rows[self.task.offset[k] + np.argsort(bits)[: min(job.probe, held)]]
        return self.softmax(self.models[-1], rows)[1]

    def compressed(self, k: int, delta: np.ndarray) -> np.ndarray:
        """What the server decodes."""
        if self.compression is None:
            return delta
        if self.compression.name == "8-bit":
            scale = np.abs(delta).max() / 127
            return np.rint(delta / scale) * scale if scale else delta
        options = self.compression.options
        whole = delta + self.unsent.get(k, 0.0)
        count = max(1, math.ceil(options.share * delta.size))
        sent = np.zeros_like(whole)
        largest = np.argsort(-np.abs(whole), kind="stable")[:count]
        sent[largest] = whole[largest]
        self.unsent[k] = whole - sent if options.error_feedback else 0.0 * whole
        return sent

    def aggregated(self, jobs: dict[int, Job], deltas: dict[int, np.ndarray], newest: int) -> np.ndarray:
        """The step before the server's learning rate."""
        zero = np.zeros_like(self.models[-1])
        if self.aggregator == "fedbuff":
            size, step = self.settings.get("size", 10), zero.copy()
            for k, job in jobs.items():
                self.buffer = self.buffer + deltas[k] / (size * math.sqrt(1 + newest - job.version))
                self.buffered += 1
                if self.buffered == size:
                    step, self.buffer, self.buffered = step + self.buffer, zero.copy(), 0
            return step
        if not jobs:
            return zero
        omega = self.coefficients(jobs, deltas, newest)
        step = sum((omega[k] * deltas[k] for k in jobs), zero)
        if self.aggregator == "scaffold":
            for k in jobs:
                self.controls[k] += self.moves[k]
            self.control = self.control + sum(self.task.target_weight[k] * self.moves[k] for k in jobs)
        if self.aggregator == "fedavgm":
            self.momentum = self.settings.get("momentum", 0.9) * self.momentum + step
            return self.momentum.copy()
        return step

    def coefficients(
        self, jobs: dict[int, Job], deltas: dict[int, np.ndarray], newest: int
    ) -> dict[int, float]:
        """Whose update counts how much: the aggregator's rule, or the plan's shares where it has any."""
        kind, settings = self.aggregator, self.settings
        if kind == "fedavgm":
            settings = _settings(settings.get("weighting", "by-samples"))
            kind = settings["kind"]
        raw = {k: 1.0 for k in jobs}
        if kind == "by-samples":
            raw = {k: float(job.held) for k, job in jobs.items()}
        elif kind == "scaffold":
            raw = {k: float(self.task.target_weight[k]) for k in jobs}
        elif kind == "refl":
            fresh = [deltas[k] for k, job in jobs.items() if job.version == newest]
            mean, beta = np.mean(fresh, axis=0) if fresh else None, settings.get("beta", 0.35)
            pull = {}
            for k, job in jobs.items():
                if job.version < newest:
                    raw[k] = (1 - beta) / (newest - job.version + 1)
                    if fresh:
                        pull[k] = (((deltas[k] - mean) / (len(fresh) + 1)) ** 2).sum()
            for k, length in pull.items():
                raw[k] += beta * (1 - math.exp(-length / max(pull.values())))
        rule = {k: value / sum(raw.values()) for k, value in raw.items()}
        own = {
            k: job.weight for k, job in jobs.items() if job.weight is not None and not math.isnan(job.weight)
        }
        part, total = len(own) / len(jobs), sum(own.values())
        return rule | {k: part * weight / total if total else 0.0 for k, weight in own.items()}

    def scores(self) -> tuple[float, float]:
        """Validation accuracy and loss of the present model."""
        w, data = self.models[-1], self.source.dataset
        if self.source.quadratic is not None:
            task = self.task
            best, start = task.loss(task.optimum()), task.loss(task.start)
            chance, loss = self.source.quadratic.chance, task.loss(w)
            return 1 / (1 + (1 / chance - 1) * max(loss - best, 0) / max(start - best, 1e-12)), loss
        c = data.num_classes
        z = data.x_val.astype(np.float64) @ w[:-c].reshape(c, -1).T + w[-c:]
        log_p = z - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        log_p -= z.max(axis=1, keepdims=True)
        right = log_p.argmax(axis=1) == data.y_val
        return float(right.mean()), float(-log_p[np.arange(data.y_val.size), data.y_val].mean())

    # --- rounds without a server

    def overlay(self, jobs: dict[int, Job]) -> dict[str, dict[int, float]] | None:
        """Everybody works and exchanges for the cycle time: the largest mean delay over all circuits."""
        who = sorted(jobs)
        if len(who) < 2:
            return None
        devices, model = self.draw.devices, self.source.model_bytes
        sample_bytes = self.draw.operator["sample_bytes"]
        bytes_of = {k: jobs[k].sent * sample_bytes + (0 if k in self.has_model else model) for k in who}
        ready = {k: bytes_of[k] / devices["down_bytes_per_s"][k] for k in who}
        work = {k: ready[k] + jobs[k].compute_s for k in who}
        up, down = (devices[f"{way}_bytes_per_s"][who] for way in ("up", "down"))
        arcs = BUILDERS[self.scenario.topology](Network(np.array([work[k] for k in who]), up, down, model))
        delay = {(i, i): work[k] for i, k in enumerate(who)}
        for i, j in zip(*np.nonzero(arcs), strict=True):
            speed = min(up[i] / arcs[i].sum(), down[j] / arcs[:, j].sum())
            delay[i, j] = work[who[i]] + model / speed
        cycle = 0.0
        for length in range(1, len(who) + 1):
            for circuit in itertools.permutations(range(len(who)), length):
                edges = list(zip(circuit, (*circuit[1:], circuit[0]), strict=True))
                if all(edge in delay for edge in edges):
                    cycle = max(cycle, sum(delay[edge] for edge in edges) / length)
        found: dict[str, dict[int, float]] = {"down": {}, "up": {}, "compute": {}, "samples": {}}
        for i, k in enumerate(who):
            found["down"][k] = bytes_of[k] + arcs[:, i].sum() * model
            found["up"][k] = arcs[i].sum() * model
            found["compute"][k], found["samples"][k] = jobs[k].compute_s, jobs[k].sent * sample_bytes
            jobs[k].down_s, jobs[k].compute_s, jobs[k].up_s = ready[k], cycle - ready[k], 0.0
        return found

    def charge_overlay(
        self, k: int, job: Job, until_s: float, overlay: dict[str, dict[int, float]], out: Expected
    ) -> None:
        """Evenly over the cycle, as far as the client was part of it."""
        rows, devices, share = out.clients, self.draw.devices, until_s / job.finish_s
        rows["down_bytes"][k], rows["up_bytes"][k] = share * overlay["down"][k], share * overlay["up"][k]
        rows["compute_s"][k], rows["sample_bytes"][k] = (
            share * overlay["compute"][k],
            share * overlay["samples"][k],
        )
        moved = rows["down_bytes"][k] + rows["up_bytes"][k]
        joules = moved * devices["network_j_per_byte"][k] + rows["compute_s"][k] * devices["compute_watts"][k]
        rows["energy_j"][k], rows["stop_s"][k] = joules, until_s
        rows["emissions_g"][k] = self.grams(k, joules, self.time_s, self.time_s + until_s)
        job.spent_j += joules
