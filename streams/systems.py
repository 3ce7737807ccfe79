"""The systems Concord keeps alike: their names, once. Everything that lists them reads this.

What a system is made of stands elsewhere: its folder in connectors/systems.py, its tables in schemas/mapping.
"""

from __future__ import annotations

from typing import Literal, get_args

System = Literal["credentialing", "enrollment", "directory", "billing", "stewardship"]

SYSTEMS: tuple[str, ...] = get_args(System)
REKEYED: tuple[str, ...] = ("enrollment", "directory", "billing")
"""They know a provider by an id of their own: agent rekey comes before decide."""
ADAPTED: tuple[str, ...] = ("directory", "enrollment", "billing")
"""Views are applied to them."""
ASKED: tuple[str, ...] = ("stewardship", "credentialing")
"""What people are to decide, and what they decided, is brought to them: proposals, and requests to the owner."""
ADAPTERS: tuple[str, ...] = (*ADAPTED, *ASKED)
"""One process each."""
