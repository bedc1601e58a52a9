"""ONNX graphs read by OpenVINO, with the input and output that all our graphs have there."""

from __future__ import annotations

from functools import lru_cache

from vidsr.backends.onnx_session import one_line
from vidsr.backends.openvino_alone import ov
from vidsr.errors import ArchitectureError
from vidsr.models.graph import Graph


@lru_cache(maxsize=1)
def _core() -> ov.Core:
    return ov.Core()


def read_graph(graph: Graph) -> ov.Model:
    """The graph with one input (N, 3, H, W) and one output, both f32, whatever it is inside.

    Raises ArchitectureError where OpenVINO has not all its operations.
    """
    try:
        model = _core().read_model(graph.content)
        adapted = ov.preprocess.PrePostProcessor(model)
        picture, enlarged = adapted.input(), adapted.output()
        for port, layout in ((picture, graph.source.layout), (enlarged, graph.result.layout)):
            port.tensor().set_element_type(ov.Type.f32).set_layout(ov.Layout("NCHW"))
            port.model().set_layout(ov.Layout(layout))
        return adapted.build()
    except RuntimeError as error:
        raise ArchitectureError(
            f"OpenVINO cannot read the model: {one_line(error)}", "pass --backend onnxruntime"
        ) from error
