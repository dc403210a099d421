"""A big Keras file opened in the room of its weights.

Keras makes random weights first, then reads the whole file into memory, then each weight out of
it: 3.5 times the model at the peak. Here variables have no value until the file gives them one,
and HDF5 reads from within the archive: 1.5 times. Owns that, and variables that wait for a value
(`waiting`). May import `exporter.{sizes, stored_member}`; Keras is imported inside the functions.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.sizes import BIG_BYTES
from exporter.stored_member import StoredMember

if TYPE_CHECKING:
    import keras

_WEIGHTS = "model.weights.h5"
_PIECE = 1 << 20


def load_model(path: Path, *, large_bytes: int = BIG_BYTES, **options: Any) -> keras.Model:
    """What `keras.saving.load_model` returns and raises, in less memory for a large file.

    A large file that only Keras' own way can open is told by a warning: it needs the memory.

    Args:
        path: A `.keras` or `.h5` file.
        large_bytes: From which size of the file on.
        options: As `keras.saving.load_model` takes them.

    Raises:
        zipfile.BadZipFile: The weights are not those that were written, by their checksum.
    """
    import keras

    weights = _weights(path)
    if weights is not None:
        _check_sum(path, weights)
    if path.stat().st_size < large_bytes or not _is_stored(weights):
        return keras.saving.load_model(path, **options)
    try:
        return _load_sparingly(path, options)
    except (MemoryError, OSError):  # Keras' own way asks the same machine for more
        raise
    except Exception as error:  # a layer that makes variables in its own way raises nearly anything
        reason = f"{type(error).__name__}: {error}"
    # A bad file ends here, in Keras' words.
    model = keras.saving.load_model(path, **options)
    warnings.warn(
        f"{path.name}: opened in Keras' own way, which takes 3.5 times its size of memory instead "
        f"of 1.5; {' '.join(reason.split())[:300]}",
        stacklevel=2,
    )
    return model


def _is_stored(weights: zipfile.ZipInfo | None) -> bool:
    """Whether there are weights that are not compressed: those can be read anywhere."""
    return weights is not None and weights.compress_type == zipfile.ZIP_STORED


def _weights(path: Path) -> zipfile.ZipInfo | None:
    """The weights' entry in the archive; None where it is none, or has none."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
    return members.get(_WEIGHTS)


def _check_sum(path: Path, weights: zipfile.ZipInfo) -> None:
    """Read the weights of an archive once to their end, which is where zipfile compares their sum.

    Whoever jumps about in them, as HDF5 does here and in Keras' last resort, is told nothing.
    """
    with zipfile.ZipFile(path) as archive, archive.open(_WEIGHTS) as stream:
        size = sum(len(piece) for piece in iter(lambda: stream.read(_PIECE), b""))
    if size != weights.file_size:
        raise zipfile.BadZipFile(f"{_WEIGHTS}: {weights.file_size} bytes expected, {size} found")


def _load_sparingly(path: Path, options: dict[str, Any]) -> keras.Model:
    import keras

    def take(update: tuple[Any, Any]) -> None:
        """What a scope keeps for later would be all weights, twice."""
        variable, value = update
        if variable._value is None:
            variable._initialize(value)
            variable._initializer = None
        else:
            variable._value.assign(value)

    with waiting() as (scope, made), _reading_in_place():
        scope.add_update = take
        model = keras.saving.load_model(path, **options)
    for variable in made:
        if variable._value is None:
            variable._deferred_initialize()
    return model


@contextmanager
def waiting() -> Iterator[tuple[Any, list[Any]]]:
    """Variables that are made while the block runs have no value yet, as in Keras' own tracing.

    Keras would give them one when the outermost of its scopes is left, so it is made to forget
    them: the caller gives each its value.

    Yields:
        The scope, which keeps what is assigned to them; and a list that holds them after the block.
    """
    import keras

    # Private: Keras has no public list of the variables that wait. Seen with Keras 3.15.1.
    from keras.src.backend.common import global_state

    key = "uninitialized_variables"
    before = list(global_state.get_global_attribute(key) or ())
    made: list[Any] = []
    try:
        with keras.StatelessScope(initialize_variables=False) as scope:
            yield scope, made
    finally:
        after = global_state.get_global_attribute(key) or ()
        made += [variable for variable in after if all(variable is not one for one in before)]
        global_state.set_global_attribute(key, before)


@contextmanager
def _reading_in_place() -> Iterator[None]:
    """Keras takes its third way to the weights: neither all in memory nor unpacked to disk.

    It is the one that Keras takes when the others fail; there zipfile would hold each weight twice
    more, so HDF5 reads the file itself. Seen with Keras 3.15.1.
    """
    import h5py
    from keras.src.saving import saving_lib

    own_check, own_store = saving_lib.is_memory_sufficient, saving_lib.H5IOStore

    def refuse(model: Any) -> bool:
        raise MemoryError("weights are read from within the archive")

    class InPlace(own_store):  # type: ignore[misc, valid-type]
        def _get_h5_file(self, path_or_io: Any, mode: str | None = None) -> h5py.File:
            self.io_file = StoredMember(self.archive, str(path_or_io))
            return h5py.File(self.io_file, mode="r")

    saving_lib.is_memory_sufficient = refuse
    saving_lib.H5IOStore = InPlace
    try:
        yield
    finally:
        saving_lib.is_memory_sufficient = own_check
        saving_lib.H5IOStore = own_store
