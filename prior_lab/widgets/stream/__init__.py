"""Pictures of the first bytes of their files, by ordered codes and by still-image codecs."""

from prior_lab.widgets.stream.explorer import StreamExplorer, explore_stream

__all__ = ["StreamExplorer", "explore_stream"]
