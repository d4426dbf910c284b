"""Flower's ClientApp of a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ....fl_core.remote import (
    LocalNode,
    LocalUpdate,
    StreamDay,
    TrainOrder,
    answer_order,
    keep_models,
    keep_storage,
    keep_stream,
    kept_models,
    kept_storage,
    kept_stream,
    pack_profile,
    pack_reply,
    pack_update,
    read_order,
    read_serve_order,
    require_flower,
)
from ..settings import RUN_CONFIG_KEY, DeploySettings, LiveSettings, read_settings
from .asked_node import AskedNode
from .node_data import local_node, own_node
from .own_data import DATA_KEY
from .profile import NodeProfile, profile_of
from .stream_file import StreamFile

if TYPE_CHECKING:
    from flwr.app import Context, Message, RecordDict
    from flwr.clientapp import ClientApp


def make_client_app(settings: LiveSettings | None = None) -> ClientApp:
    """The ClientApp that says who the node is and carries orders out.

    Args:
        settings: the federation's; None: they travel with the run, under `deployment` in its configuration.

    Raises:
        ImportError: Flower is not installed.
    """
    require_flower()
    from flwr.clientapp import ClientApp

    given = None if settings is None else settings.text()
    app = ClientApp()

    @app.query()
    def introduce(message: Message, context: Context) -> Message:
        """Answer who this node is."""
        return _reply(pack_profile(_introduction(_said(given, context), context).record()), message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        """Carry out one order."""
        order = read_order(message.content)
        # The order says which client this node plays: one without a partition-id learns it here.
        work = carrier(order, _said(given, context), context)
        began_s = time.perf_counter()
        update = work()
        own = update.held if DATA_KEY in context.node_config else None  # nobody sends it any others
        profile = _profile(context, update.held, own)
        pace_s = (profile.step_s or 0.0) * order.local_steps
        if pace_s:
            time.sleep(max(pace_s - (time.perf_counter() - began_s), 0.0))
            update = replace(update, compute_s=time.perf_counter() - began_s)
        return _reply(pack_update(update, profile.record()), message)

    @app.query("serve")
    def serve(message: Message, context: Context) -> Message:
        """Answer rows with the models that the slots hold, then load."""
        order, profile = read_serve_order(message.content), _profile(context)
        reply, held = answer_order(order, kept_models(context.state), profile.answer_s or 0.0)
        keep_models(context.state, held)
        return _reply(pack_reply(reply, order, profile.record()), message)

    return app


def carrier(order: TrainOrder, said: str, context: Context) -> Callable[[], LocalUpdate]:
    """What carries an order out, ready to begin; what the node keeps is in its state afterwards.

    Args:
        order: what to do.
        said: the run's settings as they travel.
        context: the node's configuration and state.
    """
    if order.stream is not None:
        return _asked_work(order, order.stream.day, said, context)
    own = DATA_KEY in context.node_config
    node = _own_node(said, context) if own else _node(said, order.client)

    def work() -> LocalUpdate:
        update, storage = node.train(order, kept_storage(context.state))
        keep_storage(context.state, storage)
        return update

    return work


def _asked_work(order: TrainOrder, day: StreamDay, said: str, context: Context) -> Callable[[], LocalUpdate]:
    """The same of a node that is asked things, which may keep its stream in a folder, too."""
    node, memory = _asked_node(said, order.client, day), kept_stream(context.state)
    folder, restarted = context.node_config.get("keep"), memory is None
    file = None if folder is None else StreamFile(Path(str(folder)), _settings(said), order.client)
    if memory is None and file is not None:
        memory = file.load()

    def work() -> LocalUpdate:
        update, mine, storage = node.carry_out(order, memory, kept_storage(context.state), restarted)
        keep_stream(context.state, mine)
        if file is not None:
            file.save(mine)
        keep_storage(context.state, storage)
        return update

    return work


def _said(given: str | None, context: Context) -> str:
    """The run's settings as they travel."""
    return given or str(context.run_config.get(RUN_CONFIG_KEY, ""))


def _introduction(said: str, context: Context) -> NodeProfile:
    """Who the node is, how many rows it brings, and how long one of its steps takes.

    It tries a few, so that nobody has to guess: who takes it for a machine on which a round lasts an hour may
    never ask it.
    """
    settings, own, profile = read_settings(said), DATA_KEY in context.node_config, _profile(context)
    if not isinstance(settings, DeploySettings) or settings.scenario.get("arrivals") is not None:
        return profile
    node = _own_node(said, context) if own else _node(said, profile.client or 0)
    step_s = node.pace_s() if profile.step_s is None else profile.step_s
    return profile.model_copy(update={"step_s": step_s, "own_samples": node.own if own else None})


def _profile(context: Context, samples: int | None = None, own: int | None = None) -> NodeProfile:
    return profile_of(dict(context.node_config), time.time(), samples, own)


def _reply(content: RecordDict, message: Message) -> Message:
    from flwr.app import Message

    return Message(content, reply_to=message)


@lru_cache(maxsize=64)
def _node(text: str, client: int) -> LocalNode:
    """The data and trainer of one client; kept where one process serves many messages."""
    settings = _settings(text)
    return local_node(settings.world(), settings.split, settings.seed, client)


def _own_node(text: str, context: Context) -> LocalNode:
    """A node that trains on its own rows, read anew each time: they may have become more."""
    settings = _settings(text)
    return own_node(settings.world(), settings.split, context.node_config)


@lru_cache(maxsize=64)
def _asked_node(text: str, client: int, day: StreamDay) -> AskedNode:
    """The same of a client that is asked things."""
    settings = _settings(text)
    return AskedNode(settings.world(), settings.split, settings.seed, client, day)


def _settings(text: str) -> DeploySettings:
    settings = read_settings(text)
    if not isinstance(settings, DeploySettings):
        raise ValueError("order: to train, expected none in a world of serving")
    return settings
