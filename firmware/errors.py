"""The four errors of the product.

LocalError: our own caller erred.  RemoteError: the far end erred; it carries
what we answer with.  DriverError: a device failed.  ConfigError: a setting is
wrong, and the advice says what to do.  Portable: imports nothing.
"""


class StrowgerError(Exception):
    """Base of all errors that the product raises on purpose."""


class LocalError(StrowgerError):
    """Our own code or an API user asked for something that cannot be."""


class RemoteError(StrowgerError):
    """The far end sent something wrong.

    cause: Q.850 cause value, or None.  status: SIP status code, or None.
    """

    def __init__(self, sentence, cause=None, status=None):
        super().__init__(sentence)
        self.cause = cause
        self.status = status


class DriverError(StrowgerError):
    """A device did not do what was asked.  device, operation: for the alarm."""

    def __init__(self, device, operation, sentence=""):
        super().__init__("%s: %s failed%s" % (device, operation, ": " + sentence if sentence else ""))
        self.device = device
        self.operation = operation


class ConfigError(StrowgerError):
    """A setting is wrong.  path: where ("spans[0].d_timeslot"); advice: what to do."""

    def __init__(self, path, advice):
        super().__init__("%s: %s" % (path, advice))
        self.path = path
        self.advice = advice
