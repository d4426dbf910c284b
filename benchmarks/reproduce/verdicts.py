"""The table that every script here ends with: what was published, what came out, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdicts:
    """Collects rows and prints them as Markdown."""

    title: str
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, claim: str, published: str, ours: str, agrees: bool | None) -> None:
        """One claim; `agrees` is decided by the script, by a rule it states; None: nothing was published."""
        verdict = "new" if agrees is None else "agrees" if agrees else "disagrees"
        self.rows.append((claim, published, ours, verdict))

    def show(self) -> None:
        """Print the table."""
        print(f"\n{self.title}\n")
        for row in (("claim", "published", "ours", ""), ("---",) * 4, *self.rows):
            print("| " + " | ".join(row) + " |")
