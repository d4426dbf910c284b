"""The main job: `python train_agent.py` trains a scheduler and compares it with the handcrafted ones."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from frugalfl.agents.commands.train import Arguments, fail, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = parse(argv)
    try:
        return _run(arguments, sys.argv[1:] if argv is None else argv)
    except ValueError as error:
        fail(str(error))
    return 2


def _run(arguments: Arguments, argv: Sequence[str]) -> int:
    # Imported after parsing: --help and bad options should not wait for torch.
    from frugalfl.agents.commands.progress import ProgressDisplay
    from frugalfl.agents.experiment.main_job import Experiment, resume_command
    from frugalfl.agents.learning.run_folder import read_config
    from frugalfl.agents.learning.training import rounds_on_disk
    from frugalfl.agents.reports import print_report

    if arguments.resume and arguments.out is None:
        raise ValueError("out: missing, expected the folder of the run that --resume goes on with")
    out = arguments.folder()
    settings = arguments.settings()
    if arguments.resume:
        settings = arguments.settings_to_resume(read_config(out)[0])
    with ProgressDisplay(settings.timesteps, out) as display:
        command = shlex.join(["python", "train_agent.py", *argv])
        experiment = Experiment(settings, out, arguments.eval_episodes, display, arguments.rivals, command)
        if arguments.resume:
            display.begin(experiment.resume())
        else:
            experiment.begin()
            display.begin(0)
        try:
            experiment.train()
            display.close()
            outcome = experiment.compare(command)
        except KeyboardInterrupt:
            display.close()
            display.say(
                f"Stopped: {rounds_on_disk(out):,} of {settings.timesteps:,} rounds are saved in {out}."
            )
            display.say(f"Go on with: {resume_command(out, arguments.eval_episodes)}")
            return 130
    print_report(outcome.result)
    display.say(f"Written: {outcome.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
