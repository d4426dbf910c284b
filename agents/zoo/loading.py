"""From a folder with a card to a scheduler that plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...common.spelling import suggest
from .card import CARD, WEIGHTS, Card, read_card, sha256

if TYPE_CHECKING:
    from gymnasium import spaces

    from ...envs.agent_view import ActionLayout, ActionMode, ObservationEncoder
    from ...envs.any_world import AnySource
    from ...envs.serving import ServingScenario
    from ..learned import Home
    from ..learned.scheduler import LearnedScheduler
    from ..policies.actor_critic import SetActorCriticPolicy, SlotActorCriticPolicy

HOME = Path(__file__).resolve().parent
"""Where the schedulers of the package lie."""


def shipped_names() -> list[str]:
    """Names of the trained schedulers that come with the package."""
    return sorted(path.parent.name for path in HOME.glob(f"*/{CARD}"))


def is_shipped(name: str) -> bool:
    """Whether a trained scheduler of this name comes with the package."""
    return name in shipped_names()


def find_card(source: str | Path) -> tuple[Path, Card]:
    """Folder and card of a shipped scheduler's name, or of a folder that `frugalfl export` has written.

    Raises:
        ValueError: neither; one line with a suggestion.
    """
    text = str(source)
    if is_shipped(text):
        return HOME / text, read_card(HOME / text)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder, read_card(folder)
    hint = suggest(text, shipped_names())
    raise ValueError(f"scheduler: {text!r} is no trained scheduler; {hint} (or a folder with {CARD})")


def load_scheduler(
    source: str | Path,
    scenario: AnySource | None = None,
    decision: str | None = None,
    **changes: object,
) -> LearnedScheduler:
    """A trained scheduler, ready to play in a world with any number of clients, or of slots.

    Args:
        source: name of one that comes with the package ("volunteers-ppo"), or a folder.
        scenario: where it will play, anything `load_any` takes; None: the world it was trained in.
        decision: see `LearnedScheduler`; None: what did best in validation.
        **changes: fields of the scenario to replace, such as `clients=2400`.

    Raises:
        ValueError: one line: nobody of that name, or a damaged or foreign file.
    """
    # Imported late: names are resolved without torch.
    from ...envs.any_world import load_any
    from ...envs.serving import ServingScenario
    from ..learned import stacked_space
    from ..learned.scheduler import LearnedScheduler
    from ..policies.actor_critic import SetActorCriticPolicy

    folder, card = find_card(source)
    world = load_any(card.scenario if scenario is None else scenario, **changes)
    if isinstance(world, ServingScenario) != ("slots" in card.features):
        home_class = "serving" if "slots" in card.features else "training"
        raise ValueError(
            f"scheduler: {card.name} plays in worlds of {home_class}, expected one instead of {world.name!r}"
        )
    if isinstance(world, ServingScenario):
        return _load_serving(folder, card, world, decision)
    home = _home(card)
    encoder = home.encoder(world, features_read(card))
    layout = home.layout(world.clients)
    _check_fit(card, layout, encoder)
    frames = int(cast("Mapping[str, int]", card.settings["policy"]).get("frames", 1))
    space = stacked_space(encoder.space, frames)
    policy = _policy(folder, card, space, layout.space, SetActorCriticPolicy)
    way = decision or card.decision
    mode = home.action_mode(world)
    return LearnedScheduler(
        policy, encoder, mode, card.name, way, card.trained_clients, frames, card.rounds_trained, home
    )


def _load_serving(folder: Path, card: Card, world: ServingScenario, decision: str | None) -> LearnedScheduler:
    """The same in a world of serving; ValueError where its tasks, models or levels are others."""
    from ...envs.serving_view import ServingEncoder, ServingLevels
    from ..learned import stacked_space
    from ..learned.scheduler import LearnedScheduler
    from ..policies.actor_critic import SlotActorCriticPolicy

    encoder, levels = ServingEncoder(world), ServingLevels(world)
    for what, own, here in (
        ("reads", card.features, serving_features(world)),
        ("chooses among", card.choices, serving_choices(world)),
    ):
        for name in here:
            if own.get(name) != here[name]:
                raise ValueError(
                    f"scheduler: {card.name}: {what} other {name} than {world.name!r} has; expected the "
                    "tasks, models, forecasts and levels of its home"
                )
    frames = int(cast("Mapping[str, int]", card.settings["policy"]).get("frames", 1))
    space = stacked_space(encoder.space, frames)
    policy = _policy(folder, card, space, levels.space, SlotActorCriticPolicy)
    return LearnedScheduler(
        policy,
        cast("ObservationEncoder", encoder),
        cast("ActionMode", levels),
        card.name,
        decision or card.decision,
        frames=frames,
        rounds_trained=card.rounds_trained,
    )


def serving_features(world: ServingScenario) -> dict[str, list[str] | int]:
    """What the weights read of an observation of serving, as a card has it."""
    from ...envs.serving_view import SERVER_TABLE, ServingEncoder, slot_features, task_features

    zones = ServingEncoder(world).space["zones"].shape
    assert zones is not None
    named = {"slots": list(slot_features(world)), "tasks": list(task_features(world))}
    return {**named, "server": list(SERVER_TABLE), "zones": zones[1]}


def serving_choices(world: ServingScenario) -> dict[str, int]:
    """How many levels of each kind an action of serving has, as a card has it."""
    levels, models = world.levels, world.tasks * len(world.models.rungs)
    return {"release": len(levels.release), "threshold": len(levels.threshold), "load": 1 + models}


def encoded_features(encoder: ObservationEncoder) -> dict[str, list[str] | int]:
    """What the weights read of an observation, as a card has it."""
    zones = encoder.space["zones"].shape
    assert zones is not None
    columns = {part: list(names) for part, names in encoder.columns.items()}
    return {**columns, "zones": zones[1]}


def choices_of(layout: ActionLayout) -> dict[str, int]:
    """How many levels of each kind an action has, as a card has it."""
    from ...envs.agent_view import FURTHER

    names = ("wait_s", "quorum", "local_steps", "transfer_samples", *FURTHER)
    return {name: max(1, len(getattr(layout, name))) for name in names}


def features_read(card: Card) -> dict[str, list[str]]:
    """The features that the weights read; ValueError where this version has no such ones."""
    from ...envs.agent_view import FEATURES

    columns = {part: names for part, names in card.features.items() if isinstance(names, list)}
    for part, known in FEATURES.items():
        if not set(columns.get(part, ())) <= set(known):
            raise ValueError(
                f"scheduler: {card.name}: reads {part} features that this version does not have; "
                "train it anew"
            )
    return columns


def _home(card: Card) -> Home:
    """The menu and the leads of a card; of the packaged scenario where it has none."""
    from ...envs.scenario import load_scenario
    from ..learned import Home, first_stop_of

    if card.home:
        return Home.from_json(card.home, f"scheduler: {card.name}")
    trained_in = cast("Mapping[str, object]", card.settings.get("world", {}))
    return Home.of(load_scenario(card.scenario), first_stop_of(trained_in))


def _check_fit(card: Card, layout: ActionLayout, encoder: ObservationEncoder) -> None:
    """Refuse a card that contradicts itself."""
    here = encoded_features(encoder)
    for part, names in card.features.items():
        if names != here.get(part):
            raise ValueError(
                f"scheduler: {card.name}: reads {part} features that its home does not have; export it anew"
            )
    for name, count in choices_of(layout).items():
        trained = card.choices.get(name, 1)  # a card names what was a decision where it was trained
        if trained != count:
            raise ValueError(
                f"scheduler: {card.name}: chooses among {trained} levels of {name}, its home has {count}; "
                "export it anew"
            )


def _policy(
    folder: Path,
    card: Card,
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
    kind: type[SetActorCriticPolicy | SlotActorCriticPolicy],
) -> SetActorCriticPolicy | SlotActorCriticPolicy:
    import safetensors
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    if sha256(path) != card.weights_sha256:
        raise ValueError(f"scheduler: {path}: damaged or exchanged (its checksum is not the card's)")
    try:
        build = cast("Callable[..., SetActorCriticPolicy | SlotActorCriticPolicy]", kind)
        policy = build(observation_space, action_space, lambda _: 0.0, **card.policy)
        policy.load_state_dict(load_file(path))
    except (safetensors.SafetensorError, RuntimeError, TypeError, ValueError) as error:
        lines = str(error).strip().splitlines()
        raise ValueError(
            f"scheduler: {path}: not weights of this policy ({lines[-1].strip()[:160]})"
        ) from None
    policy.set_training_mode(False)
    return policy
