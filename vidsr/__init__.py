"""vidsr: a streaming video upscaler.

The package imports nothing heavy here, so that `vidsr --help` starts at once; torch and av load
only when a video is opened.
"""

__version__ = "0.1.0"
