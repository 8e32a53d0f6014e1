"""`household`: its reader, and the renderer that made it, from a furniture catalogue to the bundled file.

`catalogue` lists the pieces, `taxonomy` names them, `mesh` and `texture` load one, `views` plans the camera's way
around it, `render` draws, `build` makes all of it into the file that `bundle` describes and `reader` opens.
"""

from prior_lab.data.household.reader import DESCRIPTION, load_household

__all__ = ["DESCRIPTION", "load_household"]
