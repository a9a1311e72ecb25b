"""The one exception for what a user can mend."""


class InputError(ValueError):
    """Something given cannot be used; the message says in one line what was given, what is needed and what to do."""
