"""vidsr: a streaming video upscaler.

    vidsr.upscale("in.mkv", "out.mkv")          a video, in one call
    vidsr.run("in.mkv", "out.mkv")              the same, with its events to iterate over
    vidsr.Upscaler()                            pictures and tensors

The package imports nothing heavy here, so that `vidsr --help` starts at once and `import vidsr` costs
nothing; torch and av load when one of these names is first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Receipt", "Run", "Upscaler", "VidsrError", "__version__", "run", "upscale"]

if TYPE_CHECKING:
    from vidsr.api.pictures import Upscaler
    from vidsr.api.videos import Run, run, upscale
    from vidsr.errors import VidsrError
    from vidsr.job import Receipt
else:
    _PLACES = {
        "Receipt": "vidsr.job",
        "Run": "vidsr.api.videos",
        "Upscaler": "vidsr.api.pictures",
        "VidsrError": "vidsr.errors",
        "run": "vidsr.api.videos",
        "upscale": "vidsr.api.videos",
    }

    def __getattr__(name):
        """Import a public name when it is first asked for (PEP 562)."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_PLACES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
