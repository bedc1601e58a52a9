"""Networks: layers and their geometry, nothing of files, devices or video."""

from __future__ import annotations

from vidsr.models.architecture import Architecture
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet

__all__ = ["Architecture", "Network", "RRDBNet", "SRVGGNetCompact"]
