"""Ordered embeddings: a bottleneck behind anyone's features, and a funnel that searches its codes level by level.

`bottleneck` is the module, `fitting` trains it, `embedder` gives it scikit-learn's interface; `efficientnet` and
`encoders` make features of images; `store` lays codes out on disk and `funnel` searches them.
"""

from prior_lab.embedding.bottleneck import BottleneckConfig, OrderedBottleneck
from prior_lab.embedding.embedder import OrderedEmbedder
from prior_lab.embedding.encoders import features
from prior_lab.embedding.funnel import Found, Funnel, Stage, StageReport
from prior_lab.embedding.store import CodeStore, open_codes, write_codes

__all__ = [
    "BottleneckConfig",
    "CodeStore",
    "Found",
    "Funnel",
    "OrderedBottleneck",
    "OrderedEmbedder",
    "Stage",
    "StageReport",
    "features",
    "open_codes",
    "write_codes",
]
