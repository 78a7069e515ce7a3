"""The error that a user can do something about."""


class InputError(ValueError):
    """Something given from outside cannot be used.

    The message is one line that names the file, topic or field, and says what to do. The command
    line prints it without a traceback; the node counts it and goes on.
    """
