# SPDX-License-Identifier: Apache-2.0
"""The exceptions of rmsjit: one class for each status of the library, each with its message."""


class Error(RuntimeError):
    """Something rmsjit could not do; `code` is the number of the status in rmsjit_c.h."""

    code = 0


class InvalidArgument(Error, ValueError):
    """An argument, option or spec is wrong; the message names it, its value and what is allowed."""

    code = 1


class Unsupported(Error):
    """The GPU or target is not supported, or an image does not run on it."""

    code = 2


class NotPrepared(Error):
    """A cold key inside a capture or after seal(); the message is the spec to prepare."""

    code = 3


class JitDisabled(Error):
    """Compiling is off and neither a bundle nor the disk serves the key."""

    code = 4


class CompileFailed(Error):
    """NVRTC refused the kernel; the message holds its log."""

    code = 5


class CompilerUnavailable(Error):
    """No NVRTC; the message lists every place searched."""

    code = 6


class WorkerFailed(Error):
    """The compile worker could not be started, died, or ran past its deadline."""

    code = 7


class DriverError(Error):
    """A call into the CUDA driver failed."""

    code = 8


class DriverUnavailable(Error):
    """No CUDA driver on this machine."""

    code = 9


class WrongDevice(Error):
    """The stream belongs to another device than the arrays."""

    code = 10


class WrongContext(Error):
    """The stream belongs to another context than the kernel."""

    code = 11


class Damaged(Error):
    """A cache entry does not pass its checks."""

    code = 12


class Untrusted(Error):
    """A cache directory that others can write, or an entry without the required signature."""

    code = 13


class NotFound(Error, LookupError):
    """An engine profile, model family or file that is not there."""

    code = 14


class StorageError(Error, OSError):
    """The file system failed."""

    code = 15


class Timeout(Error, TimeoutError):
    """The deadline passed."""

    code = 16


class TooManyKeys(Error):
    """More distinct specs in one process than max_keys allows."""

    code = 17


class Closed(Error):
    """The runtime was closed."""

    code = 18


class Internal(Error):
    """A bug of rmsjit."""

    code = 19


class AutogradError(InvalidArgument):
    """A tensor that takes part in autograd; rmsjit has no backward pass."""


def by_code():
    """{status number: class}"""
    return {c.code: c for c in globals().values()
            if isinstance(c, type) and issubclass(c, Error) and c not in (Error, AutogradError)}


def raise_autograd():
    raise AutogradError(
        "rmsjit has no backward pass, and gradients are being recorded for one of the inputs: "
        "call it under torch.inference_mode() or torch.no_grad(), or detach the inputs")
