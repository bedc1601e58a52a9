"""The official script's way, literally: one frame at a time, torch in fp32, RGB through pipes.

per_frame_loop.py WEIGHTS.pth CLIP OUTPUT FRAMES
"""

from __future__ import annotations

import numpy as np
import torch
from network import load
from raw_pipes import Picture, arguments, upscale


def main() -> None:
    asked = arguments("weights")
    network = load(asked.weights)

    @torch.no_grad()
    def one(picture: Picture) -> Picture:
        pixels = picture.astype(np.float32) / 255
        batch = torch.from_numpy(pixels.transpose(2, 0, 1)).unsqueeze(0)
        result = network(batch).squeeze(0).float().clamp_(0, 1).numpy()
        upscaled: Picture = (result.transpose(1, 2, 0) * 255.0).round().astype(np.uint8)
        return upscaled

    upscale(asked.clip, asked.output, asked.frames, one)


if __name__ == "__main__":
    main()
