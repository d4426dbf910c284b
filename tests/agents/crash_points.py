"""Kill a command just before its n-th change of the file system, give it again, and compare the ends.

    python crash_points.py train|evaluate|tune|deploy FOLDER [POINT ...]

A script and no test: it imports the command once and forks for every try. An audit hook counts what is
opened for writing, renamed, removed or made below the output folder. A point is a number, or a text: the
first change that it occurs in, such as "open x.csv" or "rename x.csv" (where the draft of x.csv is
finished). Without points every one is tried. Prints a JSON object: `points`, `tried`, and the `lost` ones
with what is wrong.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
LIMIT_S = 120
WORLD = "base: quadratic\nname: small\nclients: 6\nmax_rounds: 4\n"
NEW_EACH_TIME = {"command", "git", "time_s", "decision_ms"}


class Hook:
    """Counts changes below a folder and kills the process before one of them."""

    def __init__(self, root, stop):
        self.root, self.stop, self.seen = os.path.abspath(root), stop, []

    def __call__(self, event, arguments):
        if self.root is None:
            return
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
            paths = [path]
        elif event in (
            "os.rename",
            "os.remove",
            "os.mkdir",
            "os.rmdir",
            "os.truncate",
            "os.link",
            "os.symlink",
        ):
            paths = arguments[:2]
        else:
            return
        names = [os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)]
        # shutil.rmtree names what it removes relative to an open folder.
        relative = event in ("os.remove", "os.rmdir") and not any(map(os.path.isabs, names))
        if not relative and not any(os.path.abspath(name).startswith(self.root) for name in names):
            return
        if "tfevents" in names[0]:  # written by a thread of TensorBoard's, and read whatever its end is
            return
        last = re.sub(r"^\.draft-\d+\.", "", os.path.basename(names[-1]))
        self.seen.append(f"{event.removeprefix('os.')} {last}")
        if len(self.seen) == self.stop:
            os.kill(os.getpid(), signal.SIGKILL)


def play(main, arguments, out, stop=None):
    """Exit code, what was said, and the changes made, of a command in a process of its own."""
    log, changes = Path(f"{out}.log"), Path(f"{out}.changes")
    process = os.fork()
    if process == 0:
        os.setsid()
        signal.alarm(LIMIT_S)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        hook = Hook(out, stop)
        sys.addaudithook(hook)
        try:
            code = main(arguments)
        except BaseException:
            traceback.print_exc()
            code = 99
        hook.root = None
        changes.write_text(json.dumps(hook.seen))
        os._exit(code or 0)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, log.read_text(), json.loads(changes.read_text()) if code == 0 else []


class Train:
    def __init__(self):
        import torch

        from frugalfl.agents.commands.train import main
        from frugalfl.agents.experiment import main_job  # noqa: F401
        from frugalfl.agents.learning.training import TrainingRun  # noqa: F401

        torch.set_num_threads(1)
        self.main = main
        self.few = ["--rivals", "none", "--eval-episodes", "1"]

    def begin(self, out):
        small = ["--env", "frugalfl/Quadratic-v0", "--scenario", "small.yaml", "--timesteps", "512"]
        fast = [
            "--num-envs",
            "2",
            "--warm-start",
            "none",
            "--ppo.rollout-steps",
            "16",
            "--ppo.batch-size",
            "32",
        ]
        return [*small, *fast, *self.few, "--out", str(out)]

    def again(self, out):
        return (
            ["--resume", *self.few, "--out", str(out)] if (out / "config.json").is_file() else self.begin(out)
        )


class Evaluate:
    def __init__(self):
        import matplotlib.pyplot  # noqa: F401

        from frugalfl.agents.commands.evaluate import main

        in_this_process()
        self.main = main

    def begin(self, out):
        players = ["--schedulers", "random-m,round-robin", "--episodes", "2", "--batch", "1"]
        return ["--env", "small.yaml", *players, "--out", str(out)]

    again = begin


class Tune:
    def __init__(self):
        from frugalfl.agents.commands.tune import main

        in_this_process()
        self.main = main

    def begin(self, out):
        few = ["--schedulers", "random-m", "round-robin", "--trials", "3", "--episodes", "2"]
        # Relative on purpose: what is locked by a name must not depend on where it is read.
        return ["--world", "small.yaml", *few, "--log", f"{out.name}/log", "--out", f"{out.name}/best"]

    again = begin


class Deploy:
    def __init__(self):
        import torch.utils.tensorboard  # noqa: F401

        from frugalfl.agents.deploy.run import Coordinator  # noqa: F401

        spec = importlib.util.spec_from_file_location("deploy_conftest", HERE / "deploy" / "conftest.py")
        self.parts = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.parts)

    def main(self, arguments):
        from frugalfl.agents.deploy import DeploySettings
        from frugalfl.agents.deploy.federation import charge_actual
        from frugalfl.agents.deploy.run import Coordinator, load_state
        from frugalfl.agents.deploy.transport import Clock
        from frugalfl.agents.execution import hold_folder

        out, resume = arguments
        work = {"deadline_s": 30.0, "overhead_s": 0.0, "step_s": 0.1}
        said = {"base": "volunteers", "name": "lab", "clients": 4, "max_rounds": 3, "workload": work}
        settings = DeploySettings(
            scenario=said,
            scheduler="round-robin",
            min_nodes=4,
            poll_s=0.05,
            out=str(out),
            resume=resume,
            seed=3,
        )
        transport = self.parts.FakeTransport(charge_actual(settings.world()), 3)
        for client in range(4):
            transport.join(client, 0.1, node_id=100 + client)
        with hold_folder(out):
            began_s = float(load_state(out)[0]["time_s"]) if (out / "state.npz").is_file() else 0.0
            clock = Clock(began_s, 1.0, transport.time, transport.time.sleep)
            coordinator = Coordinator(settings, transport, clock=clock)
            coordinator.world.runner._wall = transport.time
            coordinator.run()
        return 0

    def begin(self, out):
        return out, False

    def again(self, out):
        return out, (out / "deployment.json").is_file()


def in_this_process():
    """Let the local engine work where it is, so that a try costs a second."""
    from frugalfl.agents.execution import Landed, local

    class Here:
        def __init__(self, jobs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *reason):
            pass

        def run(self, function, work):
            for key, arguments in work.items():
                yield Landed(key, function(*arguments))

    local.LocalEngine = Here


def end_of(out):
    """What a command has left behind, by file, without what is new each time; drafts too, if any are left."""
    return {
        str(path.relative_to(out)): content_of(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and "tfevents" not in path.name
    }


def content_of(path):
    if path.suffix == ".csv":
        rows = list(csv.reader(path.open(encoding="utf-8")))
        if path.name == "rounds.csv":  # the seconds of a federation that was away differ, and what they cost
            return [[row[rows[0].index(name)] for name in ("round", "completed", "accuracy")] for row in rows]
        timed = {index for index, name in enumerate(rows[0]) if name == "decision_ms"}
        kept = [rows[0], *(row for row in rows[1:] if "decision_ms" not in row)]
        return [[cell for index, cell in enumerate(row) if index not in timed] for row in kept]
    if path.suffix == ".json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".npz":
        live = path.name == "state.npz" or path.parent.name == "rounds"
        with np.load(path) as arrays:
            names = [name for name in sorted(arrays.files) if "decision_ms" not in name]
            names = [name for name in names if not live or name.startswith(("core/", "plan/", "decisions"))]
            return [name + hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in names]
    if path.suffix == ".journal":
        return sum(b'"settings"' in line for line in path.read_bytes().splitlines())
    if path.suffix == ".pt":
        import torch

        state = torch.load(path, weights_only=True)
        return hashlib.sha256(repr(tensors(state)).encode()).hexdigest()
    return ""


def tensors(state):
    if isinstance(state, dict):
        return {name: tensors(value) for name, value in state.items()}
    return state.tolist() if hasattr(state, "tolist") else repr(state)


def plain(value):
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in NEW_EACH_TIME | {"files"}}
        return {
            plain(name): plain(each) for name, each in kept.items()
        }  # commands are names among `searches`
    if isinstance(value, list):
        return [plain(each) for each in value]
    return re.sub(r"point-?\d+|whole", "OUT", value) if isinstance(value, str) else value


def number_of(point, changes):
    return int(point) if point.isdigit() else 1 + next(n for n, each in enumerate(changes) if point in each)


def main(what, folder, asked):
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    Path("small.yaml").write_text(WORLD)
    command = {"train": Train, "evaluate": Evaluate, "tune": Tune, "deploy": Deploy}[what]()
    whole = Path("whole").absolute()
    code, said, changes = play(command.main, command.begin(whole), whole)
    assert code == 0, said
    want, lost = end_of(whole), []
    points = sorted({number_of(point, changes) for point in asked} or range(1, len(changes) + 1))
    for n in points:
        out = Path(f"point{n}").absolute()
        killed, said, _ = play(command.main, command.begin(out), out, stop=n)
        if killed != -signal.SIGKILL:
            lost.append([n, changes[n - 1], f"not killed: {killed}", said[-300:]])
            continue
        code, said, _ = play(command.main, command.again(out), out)
        got = end_of(out) if out.is_dir() else {}
        other = sorted(name for name in {*want, *got} if want.get(name, 0) != got.get(name, 0))
        if code != 0 or other:
            lost.append([n, changes[n - 1], f"exit code {code}", other[:5], said[-300:]])
        shutil.rmtree(out, ignore_errors=True)
    print(json.dumps({"points": len(changes), "tried": len(points), "lost": lost}, indent=1))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
