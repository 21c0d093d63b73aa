"""Every error that a user can cause, as one small hierarchy under `SciError`.

A message says what was given, what was expected, and how to fix it.
"""

_SPELLED = "AEFHILMNORSX"
"""Letters whose own names begin with a vowel, as an abbreviation is read."""


def with_article(name: str) -> str:
    """Return the name of a class with "a" or "an" before it, for messages.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> from sci.errors import with_article
    >>> [with_article(name) for name in ("dict", "int", "AtomisticPotential", "UNet", "FNO", "TFNO", "SFNO", "SPDNet")]
    ['a dict', 'an int', 'an AtomisticPotential', 'a UNet', 'an FNO', 'a TFNO', 'an SFNO', 'an SPDNet']
    """
    spelled = name[:2].isupper() and len(name) > 2 and name[2].isupper()
    vowel = name[0] in _SPELLED if spelled else name.lower().startswith(("a", "e", "i", "o", "nd"))
    return f"{'an' if vowel else 'a'} {name}"


class SciError(Exception):
    """Base of every error that the library raises on purpose."""


class InvalidValueError(SciError, ValueError):
    """An argument has a value outside its range, or NaN or Inf where numbers are expected."""


class ShapeError(SciError, ValueError):
    """An array has the wrong shape."""


class DTypeError(SciError, TypeError):
    """An array has the wrong dtype, or an argument is of the wrong class."""


class DeviceMismatchError(SciError, TypeError):
    """Host and device arrays were mixed in one call."""


class DeviceUnavailableError(SciError, RuntimeError):
    """A GPU was asked for, and CuPy, a driver or a device is missing."""


class MissingDependencyError(SciError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class KernelCompileError(SciError, RuntimeError):
    """A kernel did not compile; the message holds the compiler's log."""


class FileFormatError(SciError, ValueError):
    """A file is missing, damaged, or not of the format that its reader expects."""


class DiskFullError(FileFormatError):
    """A file does not fit on its disk, or in the quota there."""


class OutOfMemoryError(SciError, MemoryError):
    """An array that the arguments ask for does not fit into memory."""


class SchemaVersionError(FileFormatError):
    """A file was written by a newer version of the library."""


class ConvergenceError(SciError, RuntimeError):
    """An iteration broke down or did not reach its tolerance."""


class DecompositionError(SciError, ValueError):
    """A grid, a sequence or a set of particles cannot be spread over the ranks as asked."""


class ToleranceWarning(UserWarning):
    """A result misses its tolerance; the message gives its measured error and the fix."""


class SamplingWarning(UserWarning):
    """A mean over Markov chains says little: too few independent samples, or chains that disagree."""
