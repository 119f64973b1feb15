"""Why a request that keeps to the contract cannot be done. The messages are for the caller."""


class NotFoundError(Exception):
    """There is no such thing, or no longer."""


class ConflictError(Exception):
    """The key was used for another request before."""
