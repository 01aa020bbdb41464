"""The one exception for bad input, shown to users as a single line."""


class UserError(ValueError):
    """Bad input that the user can mend; the message is one line and says how.

    Command-line programs print it as ``error: <message>`` on standard error and exit
    with status 2, before anything is trained or written.
    """
