"""One thing on the shelf."""

from dataclasses import dataclass
from typing import Any, Optional


@dataclass(frozen=True)
class Entry:
    value: Any
    expires: Optional[float]

    def is_alive(self, now):
        return self.expires is None or now < self.expires
