"""The main job: `python train_agent.py` trains a scheduler and compares it with the handcrafted ones."""

from __future__ import annotations

import sys

from frugalfl.agents.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
