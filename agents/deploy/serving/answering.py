"""One step of a live world of serving: rows to nodes and hub, answers in, and again where a node fails."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ....common.arrays import Bools, Floats, Ints
from ....envs.serving import (
    NOTHING,
    Options,
    ServingPlan,
    ServingSituation,
    assign,
    hub_costs,
    slot_costs,
)
from ....fl_core.remote import ModelLoad, Questions, ServeOrder, ServeReply, SlotAnswers
from .courier import Errand, Return
from .desk import Desk, Record


@dataclass
class Answering:
    """One step.

    Args:
        desk: books, slots and nodes.
        known: what costs and capacities are counted by.
        nominal: the same before anything was measured.
        plan: thresholds of this step, E = 1; its loads have been begun.
        step: its number.
        retry_ms: nominal, of an answer whose first node failed.
    """

    desk: Desk
    known: ServingSituation
    nominal: ServingSituation
    plan: ServingPlan
    step: int
    retry_ms: float
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        s, levels = self.desk.node.size, self.known.terms.threshold_levels.size
        zeros = (np.zeros(s), np.zeros(s), np.zeros(s))
        self.record = Record(*zeros, np.zeros((3, self.known.num_tasks, levels)))
        self._room = self.known.slots.capacity_per_step[0].copy()
        self._used = np.zeros(s)
        self._hub_room = int(self.known.hub.capacity_per_step[0])
        self._began_s = self.desk.courier.wall()
        slots, place = self.desk.slots, self.desk.place
        self._seen: tuple[bytes, ...] = ()
        self._loads: dict[int, list[ModelLoad]] = {}
        for slot in np.flatnonzero(slots.loading[0] != NOTHING).tolist():
            client = int(self.desk.node[slot])
            if self.desk.courier.roster.order[client] is None:
                load = self.desk.judge.load(int(place[slot]), int(slots.loading[0, slot]))
                self._loads.setdefault(client, []).append(load)

    def run(self, end_s: float) -> Record:
        """Play until a time of the federation: then nothing is on its way, and nobody waits any more."""
        desk = self.desk
        while True:
            self.look()
            self._hand_out()
            left_s = end_s - desk.clock.now()
            if left_s <= 0:
                break
            if desk.clock.skips and not desk.courier.errands:
                desk.clock.skip(left_s)
            else:
                desk.clock.wait(min(desk.poll_s * desk.clock.scale, left_s))
        self._close()
        return self.record

    def look(self) -> None:
        """Take what has come, and back what will not."""
        for back in self.desk.courier.collect():
            self._enter(back)
        for errand in self.desk.courier.overdue():
            self._take_back(errand)
        self._forget_left()

    def _hand_out(self) -> None:
        """Send what waits to whoever is idle and cheapest, then to the hub; what finds no room waits on."""
        book, seen = self.desk.book, self._options_now()
        if seen == self._seen:
            return
        todo: dict[int, dict[int, list[Ints]]] = {client: {} for client in self._loads}
        due = book.waiting(now=True, due=self.step)
        for ids in (due, np.setdiff1d(book.waiting(now=True), due)):
            if ids.size:
                self._assign(ids, todo)
        for client, by_slot in todo.items():
            self._send(client, by_slot)
        self._seen = self._options_now()

    def _options_now(self) -> tuple[bytes, ...]:
        """What decides about who gets what: while it stays the same nothing new can be handed out."""
        desk = self.desk
        idle = desk.courier.roster.available[desk.node]
        parts = (idle, desk.slots.model, self._used, desk.book.waiting(now=True))
        return (*(part.tobytes() for part in parts), bytes([bool(self._loads), self._hub_room > 0]))

    def _assign(self, ids: Ints, todo: dict[int, dict[int, list[Ints]]], slots: bool = True) -> None:
        desk, known = self.desk, self.known
        idle = desk.courier.roster.available[desk.node] & slots
        model = np.where(idle, desk.slots.model[0], NOTHING)[None]
        room = np.maximum(np.floor(known.of_rung(self._room[None], model)[0] - self._used), 0.0)
        options = Options(
            known.task_of(model),
            slot_costs(known, model),
            np.where(model[0] == NOTHING, 0.0, room)[None],
            (model != NOTHING).astype(np.float64),
            hub_costs(known),
            np.array([float(self._hub_room)]),
        )
        zones = known.hub.rtt_ms.shape[0]
        found = assign(desk.book.counts(ids, zones)[None].astype(np.float64), options)
        cells = [(zone, task) for zone in range(zones) for task in range(known.num_tasks)]
        for (zone, task), mine in [(cell, desk.book.of_cell(ids, *cell)) for cell in cells]:
            left = mine
            for slot in np.flatnonzero((options.task[0] == task) & (found.slots[0, zone] > 0)).tolist():
                taken, left = np.split(left, [int(found.slots[0, zone, slot])])
                todo.setdefault(int(desk.node[slot]), {}).setdefault(slot, []).append(taken)
                self._used[slot] += taken.size
            self._ask_hub_for(left[: int(found.hub[0, zone, task])])

    def _send(self, client: int, by_slot: dict[int, list[Ints]]) -> None:
        """One order to one node: rows for its slots, and its loads."""
        desk, place = self.desk, self.desk.place
        requests = {slot: np.sort(np.concatenate(parts)) for slot, parts in by_slot.items()}
        questions = []
        for slot, ids in requests.items():
            model = int(desk.slots.model[0, slot])
            rows = desk.judge.rows(desk.book.of("row", ids))
            questions.append(Questions(int(place[slot]), model, desk.judge.classes(model), rows))
        loads = tuple(self._loads.pop(client, []))
        size = desk.courier.send(client, ServeOrder(0, tuple(questions), loads), requests)
        if size is None:
            self._drop_loads(client, loads)
            for slot, ids in requests.items():
                self._used[slot] -= ids.size
            return
        for slot, ids in requests.items():
            desk.book.send(ids, slot)
        parts = {self._slot(client, each.slot): float(each.rows.nbytes) for each in questions}
        for load in loads:
            slot = self._slot(client, load.slot)
            parts[slot] = parts.get(slot, 0.0) + load.parameters.nbytes
        self._charge_bytes(client, parts, size)

    def _enter(self, back: Return) -> None:
        """An errand has come to its end."""
        errand, reply, client = back.errand, back.reply, back.errand.client
        if reply is None:
            self._take_back(errand)
            self._drop_loads(client, errand.order.loads)
            return
        places = {self._slot(client, each.slot): float(each.choice.nbytes) for each in reply.answers}
        self._charge_bytes(client, places, back.up_bytes)
        self.desk.stopwatch.enter_way(back.trip_s, sum(each.took_s for each in reply.answers))
        asked = {each.slot: each for each in errand.order.questions}
        for answers in reply.answers:
            slot, model = self._slot(client, answers.slot), asked[answers.slot].model
            self.desk.stopwatch.enter(
                slot, model % self.desk.judge.rungs, answers.choice.size, answers.took_s
            )
            self.record.compute_s[slot] += answers.took_s
            ids = errand.requests.pop(slot, None)
            if ids is None:
                self.record.late += answers.choice.size
            else:
                self._settle(slot, model, ids, answers)
        self._take_back(errand)  # what its slots did not answer
        self._enter_held(client, errand, reply)

    def _settle(self, slot: int, model: int, ids: Ints, answers: SlotAnswers) -> None:
        """Answers of a slot: those that are not sure are asked of the hub, as far as it has room."""
        book, judge, record = self.desk.book, self.desk.judge, self.record
        task, row = book.of("task", ids), book.of("row", ids)
        choice, sure = answers.choice.astype(np.int64), answers.confidence.astype(np.float64)
        levels = self.known.terms.threshold_levels
        level = np.searchsorted(levels, sure, side="right") - 1
        kind = model // judge.rungs
        unsure = np.flatnonzero(sure < self.plan.threshold[0, kind])[: self._hub_room]
        asked = np.zeros(ids.size, dtype=bool)
        asked[unsure] = True
        hub = judge.hub(task[asked], row[asked])
        agreed = np.zeros(ids.size, dtype=bool)
        agreed[asked] = hub == choice[asked]
        choice[asked] = hub
        for number, chosen in enumerate((np.ones_like(asked), asked, agreed)):
            record.bins[number, kind] += np.bincount(level[chosen], minlength=levels.size)
        self._hub_room -= unsure.size
        record.asked += unsure.size
        record.local[slot] += ids.size
        zone, rung = book.of("zone", ids), model % judge.rungs
        way = self.nominal.hub.rtt_ms[zone, self.nominal.slots.zone[0, slot]]
        nominal = self.nominal.slots.latency_ms[0, slot, rung] + way
        self._note_waits(ids, nominal + np.where(asked, self.nominal.hub.latency_ms[0][zone], 0.0))
        book.answer(ids, judge.right(task, row, choice))

    def _ask_hub_for(self, ids: Ints) -> None:
        """The hub answers, here and now."""
        if not ids.size:
            return
        book, judge = self.desk.book, self.desk.judge
        task, row, zone = (book.of(name, ids) for name in ("task", "row", "zone"))
        right = judge.right(task, row, judge.hub(task, row))
        self._hub_room -= ids.size
        self.record.hub += ids.size
        self._note_waits(ids, self.nominal.hub.latency_ms[0][zone])
        book.answer(ids, right)

    def _note_waits(self, ids: Ints, nominal_ms: Floats) -> None:
        """Milliseconds of answers that somebody waits for, measured and nominal."""
        book = self.desk.book
        waits = book.of("waits", ids) > 0
        tries = book.of("tries", ids)
        self.record.waited += int(waits.sum())
        self.record.measured_ms += 1e3 * (self.desk.courier.wall() - self._began_s) * int(waits.sum())
        self.record.nominal_ms += float((nominal_ms + self.retry_ms * tries)[waits].sum())

    def _take_back(self, errand: Errand) -> None:
        for slot, ids in errand.requests.items():
            self.desk.book.take_back(ids)
            self._used[slot] = max(self._used[slot] - ids.size, 0.0)
        errand.requests.clear()

    def _enter_held(self, client: int, errand: Errand, reply: ServeReply) -> None:
        """What a node says that its slots hold is what they hold; its loads are done."""
        slots, holds = self.desk.slots, reply.holds
        coming = {load.slot: load.model for load in errand.order.loads}
        for slot in np.flatnonzero(self.desk.node == client).tolist():
            place = int(self.desk.place[slot])
            if place in coming:
                done = holds.get(place) == coming[place]
                slots.model[0, slot] = coming[place] if done else NOTHING
                slots.loading[0, slot] = NOTHING
                self.record.loaded += done
                self.record.lost += not done
            elif slots.model[0, slot] not in (NOTHING, holds.get(place, NOTHING)):
                slots.model[0, slot] = NOTHING
                self.record.lost += 1

    def _drop_loads(self, client: int, loads: tuple[ModelLoad, ...]) -> None:
        for load in loads:
            slot = self._slot(client, load.slot)
            if self.desk.slots.loading[0, slot] == load.model:
                self.desk.slots.loading[0, slot] = NOTHING
                self.record.lost += 1

    def _forget_left(self) -> None:
        """A node that has left takes with it what its slots held."""
        roster, slots = self.desk.courier.roster, self.desk.slots
        gone: Bools = (roster.leavings > self.desk.left)[self.desk.node]
        self.desk.left[...] = roster.leavings
        had = (slots.model[0] != NOTHING) | (slots.loading[0] != NOTHING)
        self.record.lost += int((gone & had).sum())
        slots.model[0, gone] = slots.loading[0, gone] = NOTHING
        for client in np.unique(self.desk.node[gone]).tolist():
            self._loads.pop(client, None)

    def _close(self) -> None:
        """The step is over: who still waits is answered by the hub, or was not in time."""
        book = self.desk.book
        for errand in self.desk.courier.errands.values():
            self._take_back(errand)
            self.desk.courier.roster.overdue[errand.client] = True
        due = book.waiting(now=True, due=self.step)
        if due.size:
            self._assign(due, {}, slots=False)
        book.drop(book.waiting(due=self.step))
        book.check()

    def _charge_bytes(self, client: int, parts: dict[int, float], size: int) -> None:
        """Bytes of a message to the slots that it is about, headers shared in proportion."""
        parts = parts or {int(np.flatnonzero(self.desk.node == client)[0]): 1.0}
        total = sum(parts.values()) or 1.0
        for slot, part in parts.items():
            self.record.moved_bytes[slot] += size * (part / total)

    def _slot(self, client: int, place: int) -> int:
        """A node's slot among all."""
        return int(np.searchsorted(self.desk.node, client)) + place
