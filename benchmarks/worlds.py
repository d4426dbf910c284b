"""Is a world worth playing? The value of every decision in it, with intervals over searches and episodes.

    python benchmarks/worlds.py --world volunteers --out runs/worlds
    python benchmarks/worlds.py --world mine.yaml --out runs/worlds --seeds 2 --rounds 30000

For each world: a linear rule is searched with every decision free; with each decision frozen at its best
constant; with foresight taken away and with the truth instead of it. Every variant gets the same number of
rounds and of searches. What is printed is the mean over searches and test episodes of "free minus variant",
whose interval draws both anew. Interrupted, it goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frugalfl.agents.evaluation.measures import Interval, crossed_bootstrap, mean
from frugalfl.agents.execution import make_engine
from frugalfl.agents.tuning import FREE, NESTED, Study, Variant, VariantFound, measure, variants
from frugalfl.envs.scenario import Scenario, load_scenario, scenario_names

COLUMNS = {
    "accuracy": ("accuracy, %", 100.0, 1),
    "hours": ("hours", 1.0, 1),
    "gigabytes": ("GB", 1.0, 1),
    "kilograms": ("kg CO2e", 1.0, 3),
    "rounds": ("rounds", 1.0, 1),
    "lost_share": ("lost, %", 100.0, 0),
    "stopped": ("ended by choice, %", 100.0, 0),
}


def difference(ours: VariantFound, theirs: VariantFound) -> Interval:
    """Mean of our net points minus theirs, paired by search and episode."""
    return crossed_bootstrap(ours.net_points - theirs.net_points, mean)


def table(found: dict[str, VariantFound]) -> list[str]:
    """One row per variant."""
    headings = [heading for heading, _, _ in COLUMNS.values()]
    lines = ["| variant | constant | net points | free minus this | " + " | ".join(headings) + " |"]
    lines.append("|---|---:|---:|---:|" + "---:|" * len(headings))
    for label, each in found.items():
        value = "" if label == FREE else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*difference(found[FREE], each))
        cells = [f"{factor * each.figures[name]:.{digits}f}" for name, (_, factor, digits) in COLUMNS.items()]
        constant = "" if each.constant is None else str(each.constant)
        lines.append(
            f"| {label} | {constant} | {each.net_points.mean():.1f} | {value} | " + " | ".join(cells) + " |"
        )
    return lines


def nested(found: dict[str, VariantFound]) -> list[str]:
    """Where the one that knows more ends lower: how large the noise of the searches is."""
    lines = []
    for more, less in NESTED:
        if more in found and less in found:
            value, low, high = difference(found[more], found[less])
            word = "holds" if high >= 0 else "FAILS: the searches have not converged"
            lines.append(f"- {more} minus {less}: {value:+.1f} [{low:+.1f}, {high:+.1f}] {word}")
    return lines


def limits(found: dict[str, VariantFound], scenario: Scenario) -> str:
    """Whether the price ends the run, or the limit of rounds."""
    free = found[FREE].figures
    return (
        f"The free rule ends {100 * free['stopped']:.0f} % of its runs by choice, "
        f"after {free['rounds']:.1f} of at most {scenario.max_rounds} rounds."
    )


def selected(known: Sequence[Variant], only: Sequence[str] | None) -> list[Variant]:
    """The free rule and the variants whose labels begin as asked; ValueError for a beginning of none."""
    for start in only or ():
        if not any(each.label.startswith(start) for each in known):
            raise ValueError(f"only: {start!r}, expected the beginning of one of {[e.label for e in known]}")
    return [each for each in known if not only or each.label == FREE or each.label.startswith(tuple(only))]


def with_each_constant(chosen: Sequence[Variant]) -> list[Variant]:
    """A variant for every constant, as screening may miss the one that would be best if it were searched."""
    return [
        each if len(each.constants) == 1 else replace(each, label=f"{each.label} {value}", constants=(value,))
        for each in chosen
        for value in each.constants
    ]


def main() -> None:
    """Print the tables of the chosen worlds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world", nargs="*", default=scenario_names(), help="packaged names or YAML files")
    parser.add_argument("--out", type=Path, default=Path("runs/worlds"), help="folder of the searches")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each variant")
    parser.add_argument("--first-rounds", type=int, default=200_000, help="of each free rule's own search")
    parser.add_argument("--rounds", type=int, default=100_000, help="of every variant's search after that")
    parser.add_argument("--episodes", type=int, default=192, help="of the test split")
    parser.add_argument("--first-seed", type=int, default=0, help="of the searches; the others follow")
    parser.add_argument("--report-seed", type=int, default=Study.report_seed, help="of the episodes")
    parser.add_argument("--only", nargs="*", help="beginnings of variants' labels; none: all")
    parser.add_argument("--each-constant", action="store_true", help="search all constants, screen none")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    for source in args.world:
        scenario = load_scenario(source)
        study = Study(
            scenario,
            args.seeds,
            args.first_rounds,
            args.rounds,
            args.episodes,
            first_seed=args.first_seed,
            report_seed=args.report_seed,
        )
        chosen = selected(variants(scenario), args.only)
        if args.each_constant:
            chosen = with_each_constant(chosen)
        with make_engine("local", args.jobs) as engine:
            found = {each.variant.label: each for each in measure(study, args.out, engine, chosen)}
        spent = sum(each.rounds for each in found.values())
        print(f"### {scenario.name}\n\n{limits(found, scenario)}\n")
        print("\n".join(table(found)), "\n")
        print("\n".join(nested(found)), "\n")
        print(
            f"{spent:,} rounds of search; {args.seeds} searches of each variant, {args.episodes} episodes.\n"
        )


if __name__ == "__main__":
    main()
