"""By which words is it known why an entry was accused? Written where it is judged, read where it is explained."""

from __future__ import annotations

TIE = "a tie: "
"""So begins the reason of entries that are illegal together where f, moved that way, has one slope."""
KINK = "a kink: "
"""And of those that are so where it has two."""
BEYOND = "outside the one-sided slopes of a kink"
"""That of an entry which is illegal by itself."""
ALONE = "for it alone"
"""In the reason of what is legal for all outputs together, and not for a single one."""
