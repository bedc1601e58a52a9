"""Never compute the same pixels twice: what is on show is kept where the input did not change.

The stage between the network's input and the planes to encode. For every frame it finds, among the few
pictures it remembers, one that the frame can be made from; hands the same samples out again if all of
it is unchanged, and else computes what changed, pasted into a copy. What "unchanged" means is its
`Changes`' business, where windows lie is `packing`'s, and how they are computed is the `Renderer`'s.

Two invariants carry the proof in `changes`. A picture's samples are never written to once it was handed
out. And a picture's memory says, block by block, from which input its samples come: both are replaced
together, and only after everything was computed, so that a failure leaves neither half done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.frames import Plane
from vidsr.infer.changes import Changes, Look, Memory, NearInput, SameInput
from vidsr.infer.packing import Blocks, Grid, plan_windows
from vidsr.infer.render import Renderer, Rendering, paste
from vidsr.infer.tiles import Tile
from vidsr.infer.transfer import Download, Transfer
from vidsr.job import ReuseMode
from vidsr.media.color.strips import in_this_thread

MEMORY_BYTES = 512 * 2**20
"""What remembered pictures may take: 40 of 640x480 at x4 would fit, 5 of 1920x1080."""
MOST_PICTURES = 8
"""Remembered pictures: a held pose returns after a few drawings or not at all."""
SMALL_CHANGE = 0.1
"""Share of the blocks up to which a changed picture takes the place of the one it was made from: going
back costs as little again, and eight blinks would else push out the pose that returns."""
SKETCH = 16
"""Pixels of the input, along either axis, that are one of the sketch by which pictures are told apart."""
SKETCH_TOLERANCE = 2 / 255


@dataclass(frozen=True, slots=True)
class ReuseCounts:
    """What was done and what was saved so far.

    frames: all of them; frames_reused: those that gave an earlier picture again. blocks: of all frames;
    blocks_computed: those computed, with what lay between changed ones. pixels: input pixels of all
    frames; pixels_computed: those the network was given, halos included.
    """

    frames: int = 0
    frames_reused: int = 0
    blocks: int = 0
    blocks_computed: int = 0
    pixels: int = 0
    pixels_computed: int = 0

    @property
    def share_reused(self) -> float:
        """Of the picture area, 0 to 1."""
        return 1 - self.blocks_computed / self.blocks if self.blocks else 0.0

    @property
    def work_saved(self) -> float:
        """Of the network's work, 0 to 1."""
        return 1 - self.pixels_computed / self.pixels if self.pixels else 0.0


class Reuse:
    """Frames in order -> the planes to show for them.

    In exact mode they are those of computing every frame whole, wherever the sequence begins. In near
    mode they depend on which frames came before, within the tolerance; after `forget` they do not.
    """

    def __init__(self, renderer: Renderer, transfer: Transfer, mode: ReuseMode, tolerance: float) -> None:
        """mode: "exact" or "near". tolerance: of "near", see NearInput."""
        self.counts = ReuseCounts()
        self._renderer = renderer
        self._transfer = transfer
        self._grid = renderer.grid()
        self._changes: Changes = NearInput(self._grid, tolerance) if mode == "near" else SameInput(self._grid)
        self._shown: list[_Shown] = []  # the most recently shown one last

    def forget(self) -> None:
        """Compute the next frame whole."""
        self._shown = []

    def submit(self, pixels: Tensor) -> Download:
        """pixels: (N, 3, H, W), consecutive frames as the backend likes them, from `transfer.preparing`.

        After an exception it is as if the call had not been made.
        """
        shown = list(self._shown)
        counts = self.counts
        pictures: list[_Shown] = []
        drafts: list[_Draft] = []
        with self._transfer.preparing(), in_this_thread(pixels.device):
            pixels = self._renderer.pad(pixels)
            self._transfer.hand_over(pixels)
            for number, frame in enumerate(pixels):
                draft = self._draft(number, frame, shown)
                if draft.is_computed:
                    drafts.append(draft)
                pictures.append(draft.picture)
                _keep(shown, draft)
                counts = _counted(counts, draft, self._grid)
        with self._transfer.computing():
            self._compute(pixels, drafts)
        self._shown = _within_memory(shown, self._renderer.planes_bytes)
        self.counts = counts
        return lambda: [picture.on_host(self._transfer) for picture in pictures]

    def _draft(self, number: int, frame: Tensor, shown: list[_Shown]) -> _Draft:
        """Which picture to show for a frame (3, H, W), and what of it must be computed."""
        look = self._changes.look(frame)
        if not shown:
            return self._redrawn(number, look, _sketch(frame))
        base = shown[-1]
        wanted = self._changed(base, look)
        if not wanted.any():
            return _Draft(number, base, base, [], wanted)
        sketch = _sketch(frame)
        alike = _most_alike(sketch, shown)
        if alike is not base:
            otherwise = self._changed(alike, look)
            if otherwise.sum() < wanted.sum():
                base, wanted = alike, otherwise
        windows = plan_windows(wanted, self._grid)
        if windows is None:
            return self._redrawn(number, look, sketch)
        if not windows:
            return _Draft(number, base, base, [], wanted)
        kept = self._grid.kept(windows)
        memory = self._changes.renew(base.memory, look, torch.from_numpy(kept))
        return _Draft(number, _Shown(memory, sketch), base, windows, kept)

    def _redrawn(self, number: int, look: Look, sketch: Tensor) -> _Draft:
        picture = _Shown(self._changes.remember(look), sketch)
        return _Draft(number, picture, None, None, self._grid.all_blocks())

    def _changed(self, picture: _Shown, look: Look) -> Blocks:
        blocks: Blocks = self._changes.changed(picture.memory, look).cpu().numpy()
        return blocks

    def _compute(self, pixels: Tensor, drafts: list[_Draft]) -> None:
        """Give every draft's picture its planes."""
        redrawn = [draft for draft in drafts if draft.windows is None]
        if redrawn:
            # not by a list of numbers, for whose copy to the device the host would wait
            some = len(redrawn) < len(pixels)
            whole = torch.stack([pixels[draft.number] for draft in redrawn]) if some else pixels
            if self._renderer.overlaps(len(redrawn)):
                for draft, rendering in zip(redrawn, self._renderer.begin(whole), strict=True):
                    draft.picture.rendering = rendering
            else:
                batch = self._renderer.whole(whole)
                for k, draft in enumerate(redrawn):
                    # of its own, lest a remembered picture keep its whole batch in memory
                    own = (plane[k] if len(redrawn) == 1 else plane[k].clone() for plane in batch)
                    draft.picture.planes = tuple(own)
        windows = [(draft.number, window) for draft in drafts for window in draft.windows or ()]
        patches = iter(self._renderer.windows(pixels, windows))
        for draft in drafts:
            if draft.windows is not None and draft.base is not None:
                patched = [next(patches) for _ in draft.windows]
                draft.picture.planes = paste(draft.base.planes, patched)
            if draft.picture.rendering is None:
                draft.picture.begin_download(self._transfer)


class _Shown:
    """A picture that was handed out, or is about to be.

    memory: of its blocks' inputs. sketch: of the frame it was last computed for. rendering: what gives its
    planes, where nobody wanted them yet.
    """

    def __init__(self, memory: Memory, sketch: Tensor) -> None:
        self.memory = memory
        self.sketch = sketch
        self.rendering: Rendering | None = None
        self._planes: tuple[Tensor, ...] = ()
        self._download: Download | None = None
        self._host: tuple[Plane, ...] | None = None

    @property
    def planes(self) -> tuple[Tensor, ...]:
        """(rows, columns) each, on the device; waits for them."""
        if self.rendering is not None:
            self._planes = tuple(plane[0] for plane in self.rendering.planes())
            self.rendering = None
        return self._planes

    @planes.setter
    def planes(self, planes: tuple[Tensor, ...]) -> None:
        self._planes = planes

    def begin_download(self, transfer: Transfer) -> None:
        self._download = transfer.download([plane[None] for plane in self.planes])

    def on_host(self, transfer: Transfer) -> tuple[Plane, ...]:
        """The same arrays each time."""
        if self._host is None:
            if self._download is None:
                self.begin_download(transfer)
            assert self._download is not None
            (self._host,) = self._download()
            self._download = None
        return self._host


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """How a frame's picture comes about.

    number: of the frame in its batch. picture: to be shown. base: what it is made from. windows: what is
    computed anew, None = all. blocks: those the windows keep.
    """

    number: int
    picture: _Shown
    base: _Shown | None
    windows: list[Tile] | None
    blocks: Blocks

    @property
    def is_computed(self) -> bool:
        return self.picture is not self.base


def _keep(shown: list[_Shown], draft: _Draft) -> None:
    """Put a draft's picture in the last place."""
    base = draft.base
    if base is not None and (not draft.is_computed or draft.blocks.mean() <= SMALL_CHANGE):
        shown.remove(base)
    shown.append(draft.picture)
    del shown[:-MOST_PICTURES]


def _within_memory(shown: list[_Shown], planes_bytes: int) -> list[_Shown]:
    """The last pictures that fit into MEMORY_BYTES, at least one."""
    total = 0
    for count, picture in enumerate(reversed(shown)):
        total += planes_bytes + sum(tensor.nbytes for tensor in picture.memory)
        if total > MEMORY_BYTES:
            return shown[-max(count, 1) :]
    return shown


def _counted(counts: ReuseCounts, draft: _Draft, grid: Grid) -> ReuseCounts:
    pixels = grid.pixels if draft.windows is None else sum(window.area for window in draft.windows)
    return replace(
        counts,
        frames=counts.frames + 1,
        frames_reused=counts.frames_reused + (not draft.is_computed),
        blocks=counts.blocks + draft.blocks.size,
        blocks_computed=counts.blocks_computed + (int(draft.blocks.sum()) if draft.is_computed else 0),
        pixels=counts.pixels + grid.pixels,
        pixels_computed=counts.pixels_computed + pixels,
    )


def _sketch(frame: Tensor) -> Tensor:
    """(3, rows, columns) means of a picture (3, H, W)."""
    return F.avg_pool2d(frame[None].to(torch.float32), SKETCH, ceil_mode=True)[0]


def _most_alike(sketch: Tensor, shown: list[_Shown]) -> _Shown:
    """The picture with the fewest places that differ; of equals the most recent one."""
    if len(shown) == 1:
        return shown[0]
    others = torch.stack([picture.sketch for picture in reversed(shown)])
    places = ((others - sketch).abs() > SKETCH_TOLERANCE).any(1).flatten(1).sum(1)
    return shown[-1 - int(places.cpu().argmin())]
