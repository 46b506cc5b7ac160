"""Why a window's performance is what it is: its weak slices, and what a change against the baseline comes from. Pure."""

from retrue.explained.change import attribute_change
from retrue.explained.rows import Examined, find_loss, is_worse
from retrue.explained.slices import MOVED, MOVED_ALONE, find_weak_slices

__all__ = ["MOVED", "MOVED_ALONE", "Examined", "attribute_change", "find_loss", "find_weak_slices", "is_worse"]
