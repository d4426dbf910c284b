"""A scheduler at work where training really happens: a live federation with the simulator's interface.

`LiveWorld` has the face of `FederatedWorld` for one environment: `situation()` says what is known of the
nodes that are connected, `step(plan)` carries a `RoundPlan` out on them. So every scheduler, handcrafted or
trained, runs unchanged. `PatientGrid` carries orders over Flower; `Coordinator` is the loop around them.
"""

from __future__ import annotations
