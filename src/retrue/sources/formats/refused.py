"""Why an event is set aside: reasons of ours, which show nothing of it, and what code raises on another shape."""


class RefusedEventError(ValueError):
    """An event that is set aside; its message is the reason and shows nothing of it."""


SHAPE_ERRORS = (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError, OverflowError)
"""What code that reads a nested value raises where it has another shape than the format's."""
OTHER_SHAPE = "the event has another shape than the format's"
