"""ReLU or leaky ReLU: found by running the network, since neither leaves a trace in a checkpoint.

An enlarger that was trained keeps its picture: its output, averaged back to the input's size, is
the input. With the wrong activation in all its layers it is not. So the activation is taken under
which a test picture comes back closer. It knows networks and one drawn picture, never files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.models.architecture import Architecture

SIDE = 48  # pixels: enough for flat areas, ramps and edges; 0.1 s for a 16-layer network

# Below this the network keeps no picture under either activation, and the choice means little.
TRUSTED_DB = 25.0


def infer_activation(
    candidates: Sequence[Architecture], state: Mapping[str, Tensor]
) -> tuple[Architecture, str]:
    """(the candidate that best keeps a test picture, a note that says how sure that is)."""
    picture = _test_picture()
    scores = [_kept_db(candidate, state, picture) for candidate in candidates]
    best = max(range(len(candidates)), key=scores.__getitem__)
    words = ", ".join(
        f"{c.arguments['act_type']} {score:.1f} dB" for c, score in zip(candidates, scores, strict=True)
    )
    name = candidates[best].arguments["act_type"]
    note = (
        f"the activation is not in the file; {name} was chosen because it keeps a test picture best ({words})"
    )
    if scores[best] < TRUSTED_DB:
        note += "; neither keeps it, so this is a guess"
    return candidates[best], note


def _kept_db(architecture: Architecture, state: Mapping[str, Tensor], picture: Tensor) -> float:
    """PSNR between a picture and its enlargement averaged back, in dB."""
    with torch.device("meta"):
        network = architecture.build()
    network.load_state_dict(dict(state), strict=True, assign=True)
    with torch.inference_mode():
        kept = F.avg_pool2d(network.eval()(picture), architecture.scale) - picture
        error = float(kept.double().square().mean())
    return float(-10 * torch.log10(torch.tensor(max(error, 1e-12), dtype=torch.float64)))


def _test_picture() -> Tensor:
    """A soft ramp in each colour with a bright disc and a dark bar: (1, 3, SIDE, SIDE) in [0, 1]."""
    y, x = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    ramps = torch.stack((0.2 + 0.6 * x, 0.2 + 0.6 * y, 0.8 - 0.6 * x * y))
    disc = torch.sigmoid(60 * (0.2 - torch.hypot(x - 0.65, y - 0.4)))
    bar = torch.sigmoid(60 * (0.05 - (x - 0.25).abs()))
    return ((ramps * (1 - disc) + 0.95 * disc) * (1 - bar) + 0.05 * bar).unsqueeze(0)
