"""Write docs/environments.md and the tables of other pages from the code, or check them.

python docs/make_tables.py [--check]
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from world_pages import world_pages  # beside this file

from frugalfl.agents.schedulers import SCHEDULERS
from frugalfl.agents.schedulers.base import Rule, knobs_of
from frugalfl.agents.schedulers.linear import (
    CLIENT_FEATURES,
    DECISIONS,
    FREEZABLE,
    OTHERS,
    RUN_FEATURES,
    SERVED_CLIENT_FEATURES,
    SERVED_DECISIONS,
    SERVED_RUN_FEATURES,
    WEIGHTS,
    LinearRule,
)
from frugalfl.common.registry import Registry
from frugalfl.envs.agent_view import (
    CLIENT_TABLE,
    EXIT_CLIENT_TABLE,
    EXIT_SERVER_TABLE,
    LEAKAGE_SERVER_TABLE,
    SERVER_TABLE,
    STREAM_CLIENT_TABLE,
    STREAM_SERVER_TABLE,
    layout_of,
)
from frugalfl.envs.contract import REFRESHES
from frugalfl.envs.registration import WORLDS, Entry, entries
from frugalfl.envs.scenario import (
    Asking,
    Evaluation,
    Late,
    Malicious,
    Scenario,
    Serving,
    load_scenario,
    scenario_names,
)
from frugalfl.fl_core.aggregation import AGGREGATORS, ATTACKS
from frugalfl.fl_core.data.streams import Drift, Memory

PAGE = Path(__file__).with_name("environments.md")
SCHEDULERS_PAGE = Path(__file__).with_name("schedulers.md")
REGISTRY = re.compile(r"(<!-- registry: [^>]*-->\n).*(<!-- /registry -->)", re.DOTALL)
LINEAR = re.compile(r"(<!-- linear rule: [^>]*-->\n).*(<!-- /linear rule -->)", re.DOTALL)
PARTS = "Paper|Method|Needs|Aggregation|Defaults|Args"
OPTIONS = {
    "compression": None,
    "malicious": Malicious,
    "overheard": None,
    "late": Late,
    "arrivals": None,
    "memory": Memory,
    "drift": Drift,
    "serving": Serving,
    "exits": Asking,
    "evaluation": Evaluation,
    "topology": None,
    "mixture": None,
}
COMMON = re.compile(r"\b(COMMON|\d+) common ones")

FACES = """\
| part of the id | what it changes | keyword |
|---|---|---|
| `-flat` | the observation is one vector, Gymnasium's FlattenObservation | `observation="flat"` |
| `-discrete` | the action is a choice from a menu of schedulers, `Discrete(K)` | `action="discrete"` |
| `-scores` | the action is a Box: a score for each client, numbers for the round | `action="scores"` |
| `mo-` | the reward is the vector (accuracy, time, communication, emissions) | `vector_reward=True` |

`objectives=["accuracy", "emissions"]` makes a vector of the terms it names and adds the others to the
first: all are in points already, each at its price. `env.unwrapped.reference_point` is -100 for each
objective: accuracy can gain no more than 100 points, so no run is worth more costs. Where
[leakage has a price](robustness.md#a-price-of-leakage), it is a fifth term of the vector."""
FLAT = """\
With `observation="flat"`: `Box(-1, 1, [N * F + G + Z * H])`, clients first, then server and zones.
`frugalfl.observation_columns(env.unwrapped.scenario)` names every number: `clients[3].loss_rank`,
`server.accuracy`, `zones[0].carbon_in_3h`."""
MASKS = """\
are away, sending to full ones, training now when nobody is there, and ending the run before round
{first_stop} (`levels: first_stop`, 0 unless a scenario says so). A forbidden order is dropped and counts as a
repair; of a stop that comes too early, a round without anybody remains. Otherwise one choice in four,
taken at random, ends the run: a random agent played one round of Quadratic, and now plays ten. Schedulers
stop when they like, and so do the package's own learners (`frugalfl train`), whose networks begin with a
bias against it. `levels={{"first_stop": 0}}` lifts it for everybody."""
INFO = """\
`reward_terms [4]`, `cost` (budget overrun as a share of the budget, where constrained learning looks
for it), `accuracy`, `loss`, `duration_s`, `repairs`, `invited`, `completed`, `lost`, `cancelled`,
`bytes`, `energy_j`, `emissions_g`, `wasted_j`, `busy_s` and the same five per client as `client_*`;
`episode_seed`, and what the episode has come to so far as `episode_*`: `episode_net_points`,
`episode_rounds`, `episode_hours` and so on. Names, types and shapes are those of the first info, which
`reset` returns. Batches add `_name`, for whom an entry is, as Gymnasium does. The Stable-Baselines3
`VecEnv` says `reward_terms`, and at an episode's end `episode_*` and all of these as `episode_totals`. Where
clients lie, `client_malicious` says who, for evaluators only; where leakage has a price,
`reward_terms` is `[5]`, and `episode_mia_auc_charged` the area that has been charged so far."""


def feature_table(title: str, table: dict[str, str], first: int = 0) -> list[str]:
    """One observation part as Markdown; its columns are counted from `first` on."""
    rows = [
        f"| {place} | `{name}` | {meaning} |" for place, (name, meaning) in enumerate(table.items(), first)
    ]
    return [f"### {title}", "", "| # | name | meaning |", "|---|---|---|", *rows, ""]


def world_table() -> list[str]:
    """The worlds' sizes, levels and prices as Markdown."""
    columns = (
        "world",
        "N",
        "zones",
        "waits",
        "quorums",
        "local steps",
        "samples sent",
        "server step",
        "bits",
        "refresh",
    )
    columns += ("points per h", "per GB", "per kg", "hours", "s per step")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for name, source in WORLDS.items():
        scenario = load_scenario(source)
        layout, prices = layout_of(scenario), scenario.preferences
        waits = ", ".join("stop" if wait == float("inf") else f"{wait / 3600:g} h" for wait in layout.wait_s)
        cells = [
            name,
            scenario.clients,
            scenario.zones,
            waits,
            ", ".join(f"{q:g}" for q in layout.quorum),
            ", ".join(map(str, layout.local_steps)),
            ", ".join(map(str, layout.transfer_samples)),
            ", ".join(f"{factor:g}" for factor in layout.server_step) if len(layout.server_step) > 1 else "-",
            ", ".join(map(str, layout.upload_bits)) if len(layout.upload_bits) > 1 else "-",
            ", ".join(REFRESHES[level] for level in layout.refresh) if len(layout.refresh) > 1 else "-",
            *map(span, (prices.price_per_hour, prices.price_per_gb, prices.price_per_kg)),
            span(scenario.budgets.hours),
            span(scenario.workload.step_s),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*lines, ""]


def _world_of(entry: Entry) -> str:
    """The name of an entry's world, as it stands in its id."""
    return entry.id.removeprefix("frugalfl/").removeprefix("mo-").partition("-")[0]


def first_stop() -> int:
    """The round before which no agent ends a run in the packaged worlds, which have one number."""
    (found,) = {load_scenario(name).levels.first_stop for name in scenario_names()}
    return found


def span(value: float | tuple[float, float]) -> str:
    """A setting, or the range it is drawn from."""
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"


def kind_table(registry: Registry) -> list[str]:
    """What a registry holds as Markdown: name, first line, settings with their defaults."""
    rows = []
    for name in registry:
        summary = (inspect.getdoc(registry[name]) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")
        fields = registry.options(name).model_fields
        options = ", ".join(f"`{key}` ({field.default})" for key, field in fields.items())
        rows.append(f"| `{name}` | {summary.replace('|', chr(92) + '|')} | {options or '-'} |")
    return ["| name | what it does | settings |", "|---|---|---|", *rows, ""]


LANGUAGE = (
    "### Language",
    "",
    "Sixteen GPUs of four classes, rented in three zones and lent in three, train one transformer: many",
    "local AdamW steps between rare exchanges, an outer Nesterov step on what comes back (DiLoCo,",
    "Douillard et al. 2023). Who leaves before the exchange has lost hours of work; short rounds move",
    "more gigabytes; an H100 makes nine steps while a V100 makes one, and a 4090 at home uploads for a",
    "quarter of an hour what a rack uploads in twenty seconds, unless fewer bits will do. Days of slack",
    "before the deadline make waiting for a clean hour a choice. Decisions: who, how many steps each,",
    "how many bits, how far the server goes, how many answers, when to wait, when to stop.",
    "",
    "What is trained is a proxy: 3,584 parameters on a Markov language of 12 symbols, a dialect per",
    "GPU. What is charged is a nominal job of 10^9 parameters, and one trained step stands for 12.5",
    "nominal ones (4, 8, 16 and 40 local steps for DiLoCo's H of 50, 100, 200 and 500): the numbers and",
    "why are in `envs/scenario/packaged/language.yaml`. A worker's moments stay with it and are gone",
    "with its session; they are never sent. Accuracy is the share of the gap between unigram loss and",
    "floor that is closed. A text of one's own: `dataset: {kind: text, path: mine.txt, by: file,",
    "context: 8}` in a YAML file with `base: language`.",
    "",
)
"""What cannot be read off the table of worlds."""

STREAMS = (
    "### Streams",
    "",
    "The machines of Volunteers, whose owners ask them things all day, at work or not: which digit is",
    "this? A client answers with the version of the model that it last received, learns the true label",
    "half an hour later and remembers forty rows; every eight hours in the mean the digits are shifted,",
    "and nothing says so but wrong answers. The reward is right answers, net: 100 points times their",
    "share of the requests that the episode may expect, less the prices of gigabytes and emissions.",
    "Training costs and is late, waiting costs answers, and a new model is worth nothing to a client",
    "that has not received it: `refresh`, a head of the action of its own, says whether it is sent to",
    "nobody, to those who took part, or to everybody who is there. Whoever is away answers with what it",
    "has. To stop is to train no more; what was sent out serves to the end of the two days.",
    "",
    "Requests, labels, memories and drifts depend on the seed and the clock, never on what is decided:",
    "two schedulers meet the same ones. Every answer is a forward pass of the version that is held then.",
    "`accuracy` and `loss` of situations and observations are what the known answers say (an exponential",
    "mean over an hour; before the first label, the untrained model's score on the validation set), so",
    "that nobody is told of a drift before the labels tell. Accuracies in tables of an evaluation are",
    "prequential: right answers over all requests, each answered before its label was known.",
    "`info` has `requests`, `right`, `labels`, `refreshed`, for evaluators `drift_events`,",
    "`validation_accuracy` (in the present concepts) and `regret_points` (behind the frozen optimum: softmax",
    "fitted to all rows of the concept), and per client `client_requests` and `client_right`.",
    "With `exits` clients hold the model up to an early head only, and may ask the hub what they are not",
    "sure of: `model: exits`, `exits: {price: 10}`, `levels: {ask_below: [0, 0.5, 0.8, 1]}`; see",
    "[mechanics](mechanics.md#asking-the-hub). `ask_below` is then a head of the action of its own, and",
    "`info` has `asked` and `client_asked`.",
    "Requests as others recorded them: `arrivals`; other drifts and memories: `drift`, `memory`. Recorded",
    "streams: `dataset: {kind: stream, path: elecNormNew.arff, drop: [date]}` with `drift: {kind: none}`,",
    "`partition: iid` and `serving: {rows: order}` in a YAML file with `base: streams`.",
    "",
)
"""The same of the world that serves while it learns."""


def option_list() -> list[str]:
    """The scenario's options that are off by default, from its docstring, as Markdown."""
    text = inspect.getdoc(Scenario) or ""
    lines = []
    for name in OPTIONS:
        found = re.search(rf"^    {name}: (.*?)(?=^    \w+: |\Z)", text, re.DOTALL | re.MULTILINE)
        if found is None:
            raise ValueError(f"docs: {name!r} is not in the docstring of Scenario")
        lines += [f"### `{name}`", ""]
        details = OPTIONS[name]
        if details is None:
            lines += [*textwrap.wrap(" ".join(found[1].split()), 110), ""]
            continue
        about, _, keys = inspect.cleandoc(details.__doc__ or "").partition("\n\nAttributes:\n")
        example = re.search(r"`({.*?})`", found[1])
        each = re.split(r"\n(?=    \w+: )", keys)
        lines += [about, "", *(f"- {' '.join(entry.split())}" for entry in each)]
        lines += ["", f"Example: `{name}={example[1]}`.", ""] if example else [""]
    return lines


def page() -> str:
    """The whole page."""
    worlds = " | ".join(f"`{name}`" for name in dict.fromkeys(_world_of(entry) for entry in entries()))
    lines = [
        "# Environments",
        "",
        "Written by `python docs/make_tables.py`; change the code, not this page.",
        "",
        "## Ids",
        "",
        f"`frugalfl/[mo-]NAME[-flat][-discrete|-scores]-v0`, where NAME is one of {worlds}:",
        f"{len(list(entries()))} ids, which `frugalfl envs` lists.",
        "",
        *FACES.splitlines(),
        "",
        "## Worlds",
        "",
        *world_table(),
        *LANGUAGE,
        *STREAMS,
        "## Options",
        "",
        "All are off in the worlds above; `gym.make(id, compression=...)`, a scenario file or",
        "`load_scenario` turns them on.",
        "",
        "A scenario's `name` is the name of a file: up to 100 letters, digits, `-`, `_` and `.`. Numbers",
        "have ends, by the unit in a field's name: 3.6e8 s and 1e5 h (eleven years), 1e15 bytes, 100,000",
        "clients and local steps, 1e12 for the rest. What they multiply to is checked before it is",
        "allocated: a world whose sessions, grid hours, quadratics or parameters would not fit into 33.5",
        "million values is refused with the field, the number and what to do. A YAML file has at most 256",
        "KiB and a hundred levels.",
        "",
        "### `aggregator`",
        "",
        "From the updates that arrived to the server's step, by-samples unless said otherwise: weightings,",
        "server optimisers over any mean (`{kind: fedadam, weighting: median}`), rules with a memory, robust",
        "rules, and what is done to updates before any of them (`{kind: clip, length: 1, then: {kind: nnm,",
        "f: 2, then: median}}`). A robust rule takes all updates alike, since weights by rows are each",
        "client's own word, refuses a scheduler's weights, and is refused where the clients are too few for",
        "its `f`. In a round in which too few updates arrive for it, model and momentum stand still, as if",
        "nothing had arrived, and everything is charged. Figures: [robustness and leakage](robustness.md).",
        "",
        *kind_table(AGGREGATORS),
        "Attacks, of `malicious` below:",
        "",
        *kind_table(ATTACKS),
        *option_list(),
        "### Data of their own",
        "",
        "The splits train, val and test have other clients, partitions and weeks, but deal the same training",
        "rows and measure accuracy on the same validation set: the same task for new clients.",
        "`dataset={kind: apart, of: digits}` gives each split a third of the rows, of the validation set and",
        "of the test rows, none of them in two splits (where rows have natural clients, whole clients): then",
        "`test` is new data, too. A world with a third of the data is another world: tune and train anew.",
        "",
        "A table of one's own, silos as clients, survival models: [silos](silos.md).",
        "### Languages",
        "",
        "A data set may name its own score, which then is what the reward pays for and what tables call",
        "accuracy. Rows of a language are `context + 1` tokens, and `info['loss']` is the mean",
        "cross-entropy in nats per token; its exponential is the perplexity.",
        "",
        "- `dataset={kind: markov, symbols: 16, order: 2, concentration: 0.15, clients: 0.3}`: the next",
        "  symbol depends on the last two, every client speaks a dialect (`partition: natural` hands them",
        "  out). Entropy rate and stationary frequencies are exact; the score is the share of the gap",
        "  between the loss of knowing frequencies and the floor that is closed, in which 100 % would be to",
        "  know all dialects;",
        "- `dataset={kind: text, path: play.txt, by: role}`: any text in UTF-8, gzipped or not, or a",
        "  folder, or LEAF's JSON (Shakespeare). `by: role` takes the speakers of a play (a line `NAME:`",
        "  after an empty one) or LEAF's users as clients, `by: file` the files. The score is the share of",
        "  next characters that are right. Beside a YAML file the path is relative to it.",
        "",
        "`aggregator={kind: diloco, outer_lr: 0.7, momentum: 0.9}` is the outer Nesterov of DiLoCo over",
        "any weighting; with `late={kind: keep}` late updates are its asynchronous form.",
        "`fragments={count: 4, mix: 0.5}` is Streaming DiLoCo's: a round exchanges a quarter of the model",
        "in turn, a quarter of the bytes each way, while workers train on from models of their own; whoever",
        "begins a session fetches the whole model, and loses its own with the session. It wants an",
        "aggregator that remembers no clients, and a compression without error feedback.",
        "",
        "### Drawn per episode",
        "",
        "Operators and days differ. These settings may be a range, from which every episode draws its own,",
        "log-uniformly (uniformly if it begins at 0); all others draw as if it were a number.",
        "",
        "- a price of `preferences`: `preferences={price_per_hour: [0.02, 1.0]}`;",
        "- a limit of `budgets`: `budgets={hours: [12, 72]}` is a deadline that is near for some and leaves",
        "  others time to wait;",
        "- of the `workload`, `step_s`, `overhead_s`, `sample_bytes` and `deadline_s`:",
        "  `workload={sample_bytes: [1e3, 1e6]}` for messages here and photographs there;",
        "- the concentrations of a partition, how unlike clients are:",
        "  `partition={kind: dirichlet, alpha: [0.05, 5]}`, and `zone_alpha` and `client_alpha` of `zone`;",
        "- the share of session ends that owners announce:",
        "  `availability={kind: volunteers, announced_share: [0.1, 1]}`; likewise of every other generator",
        "  and of files.",
        "",
        "Schedulers read what was drawn in `Situation.terms`, agents in the observation: prices, what is",
        "left of budgets, `sample_bytes`, `overhead_s`, `deadline_s`, the `label_skew` that was dealt",
        "(mean total-variation distance of a client's label mix from all clients', as label histograms tell",
        "it) and the `announced_share` of the pool. Seconds per step are in `ClientFacts.step_s`.",
        "",
        "### Learning-rate decay",
        "",
        "`training={learning_rate_decay: 0.98}`: the clients' learning rate in the t-th round is",
        "`learning_rate * 0.98 ** t` (Charles and Konecny 2021); a late update has the rate of the round in",
        "which it was started. `fedawe`, whose theory needs a constant rate, refuses it.",
        "",
        "### Transformers",
        "",
        "`model={kind: transformer, layers: 1, width: 32, heads: 2}` predicts each token of a row from those",
        "before it; rows of the data set are `context + 1` tokens (whole numbers below the number of",
        "classes), of which it reads all but the last. Pre-norm RMS without gains, ReLU, learned positions,",
        "an untied head, no biases: `(2 V + T) d + 12 L d^2` parameters. Losses and accuracies are means",
        "over the positions. Up to width, context 128, vocabulary 512 and 8 layers one compiled kernel",
        "trains all clients of all worlds (fastest where `width / heads` is a multiple of 16); beyond, or",
        "with `trainer={kind: torch, device: cuda}`, PyTorch does. `transformer_module` is the same model",
        "as a module.",
        "",
        "### AdamW",
        "",
        "`training={optimiser: adamw}`, of any model and trainer, or a mapping: `{kind: adamw, beta1: 0.9,",
        "beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip_norm: 1.0}`; as PyTorch computes it. A worker's",
        "moments stay with it from round to round, are never sent, and are gone when its session ends: who",
        "joins begins with none. They are those of its last update that arrived; a client that was cancelled",
        "goes on from there. On real nodes they stay on the node, and orders say how many steps they must",
        "have seen. `scaffold`, which takes steps for gradients, and worlds of quadratics refuse it.",
        "",
        "### Fine-tuning: a base, and low-rank factors",
        "",
        "`pretrained={steps: 1500, dataset: {...}}` makes a base at the hub, once per process and the same",
        "for all episodes; nobody is charged for it. Every episode's model then begins from it instead of",
        "anew. Its `dataset` is what the hub has read, with the features and labels of the world's own; left",
        "out, the world's own training rows, of a base that has seen them all. `family: 0.3` of a Markov",
        "language says how far it is from the one that the same settings speak at `family: 0`: what a base",
        "has read, and what it is to be fine-tuned to.",
        "",
        "`trainable: lora`, or `{kind: lora, rank: 4, alpha: 8, matrices: [attend], whole: [head]}`, then",
        "trains low-rank factors only (Hu et al. 2022): `W = W0 + alpha / rank * B A`. Tensors are named in",
        "full or by the last part (`blocks.0.attend` or `attend`; of dense models `layers.1.weight` or",
        "`weight`; of modules PyTorch's names); without `matrices` all of a transformer's blocks have",
        "factors, or all matrices of another model. `whole` are trained as they are, beside the factors.",
        "`fixed_a: true` keeps A as it was drawn and trains B alone (FFA-LoRA), half of the bytes or less,",
        "and the mean of the clients' factors is then exactly that of their matrices.",
        "",
        "What is trained is one vector, and all that works on parameters works on it: aggregators and their",
        "memory, compression and error feedback, AdamW's moments, fragments, late updates, liars. Each",
        "exchange is charged the workload's `model_bytes` times the share that this vector has of the",
        "model's parameters. The frozen weights are a joiner's price: `model_bytes` times their share comes",
        "on top of `setup_bytes` with the first download of every session, unless the base",
        "is `installed`. Shares are those of the model that is really trained, whose small width makes them",
        "larger than in the nominal job: rank 2 of a width of 16 is a seventh, rank 16 of a width of 2,048 a",
        "hundredth; a step computes as long as in",
        "full training. The fused kernels (transformers and dense models), NumPy and PyTorch train factors;",
        "quadratics, worlds with arrivals and personal models refuse them.",
        "",
        "### Set-up",
        "",
        "Before a client can train it may need a container image, the frozen part of a model or an index:",
        "`workload={setup_bytes: 6e9}`. Its first download in a session is so many bytes longer, in the",
        "order set-up, model, samples; seconds, bytes, joules and grams are charged like those of the model,",
        "for probes and late clients too. It is *warm* once that download is complete, and cold again when",
        "its session ends; what was lost or cancelled on the way is paid for and fetched anew.",
        "`ClientFacts.setup_bytes` says what each client still needs, `Situation.round_s` and its sisters",
        "include it, and `Situation.warm` is what later rounds of the session cost. Real nodes bring their",
        "own environment. Not together with an overlay `topology`.",
        "",
        "### Probes",
        "",
        "A scheduler that wants losses before it selects pays for them: a `RoundPlan` that neither waits nor",
        "trains, with `probe_samples [E, N]`, asks those clients for their loss at the present model. Each",
        "downloads the model, runs so many of its samples forward (a third of a training step per batch) and",
        "answers with 8 bytes; time, bytes, energy and emissions are charged as always, and a session that",
        "ends meanwhile loses the answer. The answers are in `ClientFacts.probed_loss` until the model",
        "changes. A probe is no round: `round_index` stays, and learned agents cannot order one. Which",
        "samples are run is a function of the episode, the round and the client: asked again before the",
        "next round, a client answers on the same ones.",
        "",
        "### Rounds, waits and decisions",
        "",
        "A *round* is a decision that trains: it neither waits nor probes, and it is one even if nobody",
        "could be invited. `max_rounds` limits rounds; `round_index`, `rounds_left` and `rounds_since` count",
        "them, and they name the minibatches. A wait uses hours, not rounds: it costs the price of an hour,",
        "and whoever waits for ever runs out of hours. So that every loop ends, ten decisions of any kind",
        "per round of the limit truncate an episode as well. `sightings` is counted before every round and",
        "every wait (`RunFacts.looks`).",
        "",
        "### Limits of steps",
        "",
        "`spec.max_episode_steps` of every environment, single or batched, is that number of decisions; a",
        "smaller `max_episode_steps` of your own truncates earlier, in batches as `TimeLimit` does alone.",
        "",
        "## Scenario files",
        "",
        "YAML, read so that nothing means two things: words and numbers as in YAML 1.2 (`NO` is Norway, a",
        "date is a text; `yes` and `no` still answer a question), while a number with leading zeros, digits",
        "with colons (`1:30`) and a key that stands twice are refused with their line and what to write.",
        "`base:` names the packaged scenario or the YAML file to start from. A text that names a file with",
        "an ending or a folder in it, or stands under `path` or `root`, is looked up beside the document",
        "first, then in the working folder.",
        "",
        "## Observation",
        "",
        "`Dict(clients=[N, F], server=[G], zones=[Z, H])`, float32 in [-1, 1]. Each number is a fixed",
        'bounded function of the `Situation`; "0.5 at x" means v / (v + x).',
        "",
        *feature_table("`clients`", CLIENT_TABLE),
        *feature_table("`server`", SERVER_TABLE),
        *feature_table("`clients`, with arrivals also", STREAM_CLIENT_TABLE, len(CLIENT_TABLE)),
        *feature_table("`server`, with arrivals also", STREAM_SERVER_TABLE, len(SERVER_TABLE)),
        *feature_table(
            "`clients`, with early exits also",
            EXIT_CLIENT_TABLE,
            len(CLIENT_TABLE) + len(STREAM_CLIENT_TABLE),
        ),
        *feature_table(
            "`server`, with early exits also", EXIT_SERVER_TABLE, len(SERVER_TABLE) + len(STREAM_SERVER_TABLE)
        ),
        *feature_table("`server`, with a price of leakage also", LEAKAGE_SERVER_TABLE, len(SERVER_TABLE)),
        "### `zones`",
        "",
        "Per zone: intensity now (0.5 at 300 g/kWh), sine and cosine of the local hour, and the forecast at",
        "each lead of the scenario relative to now (negative = cleaner).",
        "",
        "### Flat",
        "",
        *FLAT.splitlines(),
        "",
        "## Action",
        "",
        "`MultiDiscrete([wait, quorum] + [steps] * N (+ [transfer] * N))`: indices into the levels above.",
        "The transfer part exists where data lies at the hub. `action_masks()` forbids inviting clients that",
        *MASKS.format(first_stop=first_stop()).splitlines(),
        "",
        "## Info",
        "",
        *INFO.splitlines(),
        "",
    ]
    return "\n".join(lines)


def part_of(scheduler: type, title: str) -> str:
    """One part ("Paper", "Needs", ...) of a scheduler's docstring, in a line; empty if it has none."""
    text = inspect.getdoc(scheduler) or ""
    found = re.search(rf"\b{title}:\s(.*?)(?=\b(?:{PARTS}):\s|\n\n|\Z)", text, re.DOTALL)
    return re.sub(r"-\n(?=\w)", "-", found[1]).replace("\n", " ").strip() if found else ""


def first_clause(text: str) -> str:
    """The first clause, without what stands in parentheses."""
    while "(" in text and (bare := re.sub(r" ?\([^()]*\)", "", text)) != text:
        text = bare
    return re.split(r"[.;] |[.;]$", text)[0]


def first_source(paper: str) -> str:
    """A reference up to its year, without what a docstring says of the method behind it."""
    if paper.startswith("none"):
        return "none"
    found = re.match(r'[^"]*"[^"]*".*?\b(?:19|20)\d\d\b', paper) or re.match(r".*?\b(?:19|20)\d\d\b", paper)
    return found[0] if found else first_clause(paper)


def scheduler_table() -> list[str]:
    """The registry as Markdown: one line per scheduler."""
    lines = [
        "| name | what it does | paper | needs | aggregation | hyperparameters |",
        "|---|---|---|---|---|---|",
    ]
    common = knobs_of(Rule)
    for name in SCHEDULERS:
        scheduler = SCHEDULERS[name]
        own = 0
        if issubclass(scheduler, Rule):
            own = len([knob for knob in knobs_of(scheduler) if knob not in common])
        elif scheduler is LinearRule:
            own = len(WEIGHTS)
        summary = (inspect.getdoc(scheduler) or "").split("\n\n")[0].replace("\n", " ")
        aggregation = part_of(scheduler, "Aggregation") or "the world's aggregator"
        cells = [
            f"`{name}`",
            summary.rstrip("."),
            first_source(part_of(scheduler, "Paper")),
            first_clause(part_of(scheduler, "Needs")),
            first_clause(aggregation),
            str(own),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def linear_tables() -> list[str]:
    """The weights of the linear rule and the decisions that can be frozen, as Markdown."""
    lines = []
    for title, rows in (
        (
            "`DECISION.FEATURE`: weights of the decisions",
            {name: (each.meaning, _starts(each.start)) for name, each in DECISIONS.items()}
            | {name: (_served(each.meaning), _starts(each.start)) for name, each in SERVED_DECISIONS.items()},
        ),
        (
            "their features, of the run",
            {name: (each.meaning, "") for name, each in RUN_FEATURES.items()}
            | {name: (_served(each.meaning), "") for name, each in SERVED_RUN_FEATURES.items()},
        ),
        (
            "`who.FEATURE`: weights of a client's score; over time: `who.FEATURE.progress`, times progress",
            {
                name: (each.meaning + (", also over time" if each.over_time else ""), f"{each.start:g}")
                for name, each in CLIENT_FEATURES.items()
            }
            | {
                name: (_served(each.meaning), f"{each.start:g}")
                for name, each in SERVED_CLIENT_FEATURES.items()
            },
        ),
        ("others", {name: (each.meaning, f"{each.start:g}") for name, each in OTHERS.items()}),
    ):
        lines += [f"| {title} | meaning | begins at |", "|---|---|---|"]
        lines += [f"| `{name}` | {meaning} | {start} |" for name, (meaning, start) in rows.items()]
        lines.append("")
    lines += ["| `freeze` | constant |", "|---|---|"]
    return [*lines, *(f"| `{name}` | {each.meaning} |" for name, each in FREEZABLE.items())]


def _served(meaning: str) -> str:
    return f"where models serve: {meaning}"


def _starts(start: Mapping[str, float]) -> str:
    return ", ".join(f"`{name}`: {value:.2g}" for name, value in start.items())


def scheduler_page() -> str:
    """The page docs/schedulers.md with its table and the number of common knobs as they are now."""
    text = SCHEDULERS_PAGE.read_text(encoding="utf-8")
    table = "\n".join(scheduler_table())
    text = REGISTRY.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    linear = "\n".join(linear_tables())
    text = LINEAR.sub(lambda found: f"{found[1]}{linear}\n{found[2]}", text)
    return COMMON.sub(f"{len(knobs_of(Rule))} common ones", text)


def main() -> int:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    pages = {PAGE: page(), SCHEDULERS_PAGE: scheduler_page(), **world_pages()}
    if parser.parse_args().check:
        return int(
            any(not path.exists() or path.read_text(encoding="utf-8") != text for path, text in pages.items())
        )
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
