"""The engines: each searches the tree of patterns in its own way. A new one gets a line in `REGISTRY`."""

from tropnet.enumeration.engine import Engine
from tropnet.enumeration.engines.lp import LpEngine
from tropnet.enumeration.engines.polygon.engine import PolygonEngine
from tropnet.enumeration.engines.reference import ReferenceEngine
from tropnet.enumeration.engines.simplex.engine import SimplexEngine
from tropnet.enumeration.engines.vertex.engine import VertexEngine

__all__ = ["REGISTRY"]

REGISTRY: dict[str, Engine] = {
    engine.name: engine for engine in (PolygonEngine(), VertexEngine(), SimplexEngine(), LpEngine(), ReferenceEngine())
}
