"""The same loop with onnxruntime as it comes: onnxruntime_loop.py NETWORK.onnx CLIP OUTPUT FRAMES."""

from __future__ import annotations

import numpy as np
import onnxruntime
from raw_pipes import Picture, arguments, upscale


def main() -> None:
    asked = arguments("network")
    session = onnxruntime.InferenceSession(asked.network, providers=["CPUExecutionProvider"])

    def one(picture: Picture) -> Picture:
        batch = (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]
        (result,) = session.run(None, {"input": np.ascontiguousarray(batch)})
        upscaled: Picture = (result[0].clip(0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
        return upscaled

    upscale(asked.clip, asked.output, asked.frames, one)


if __name__ == "__main__":
    main()
