"""The same loop with ncnn on the CPU: ncnn_loop.py NETWORK.param NETWORK.bin CLIP OUTPUT FRAMES."""

from __future__ import annotations

import os

import ncnn
import numpy as np
from raw_pipes import Picture, arguments, upscale


def main() -> None:
    asked = arguments("param", "bin")
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = len(os.sched_getaffinity(0))
    if net.load_param(str(asked.param)) or net.load_model(str(asked.bin)):
        raise SystemExit("ncnn cannot read the network")
    (source,), (target,) = net.input_names(), net.output_names()

    def one(picture: Picture) -> Picture:
        pixels = np.ascontiguousarray((picture.astype(np.float32) / 255).transpose(2, 0, 1))
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(pixels))
        code, result = extractor.extract(target)
        if code:
            raise SystemExit(f"ncnn failed with {code}")
        upscaled: Picture = (np.array(result).clip(0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
        return upscaled

    upscale(asked.clip, asked.output, asked.frames, one)


if __name__ == "__main__":
    main()
