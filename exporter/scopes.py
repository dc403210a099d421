"""Name scopes: every Keras layer gets one that TensorFlow accepts, and that says whose it is.

Layer names may hold spaces, colons and letters that TensorFlow refuses in a graph, and Keras'
scopes are numbered anew in every trace. Within `layer_scopes` a layer's scope is its path, and an
operation of a functional graph (`keras.ops`), which has none in Keras, gets one in the same way.
May import `exporter.keras_file` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from exporter.keras_file import import_keras

_active: ContextVar[dict[str, tuple[str, str]] | None] = ContextVar("layer_scopes", default=None)


def plain(name: str) -> str:
    """A name that TensorFlow accepts for an operation or a scope."""
    allowed = re.sub(r"[^A-Za-z0-9_./-]", "_", name)
    return allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"n{allowed}"


@contextmanager
def layer_scopes() -> Iterator[dict[str, tuple[str, str]]]:
    """While the block runs, scopes are paths; yields scope -> (path, class) of what is called."""
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    keras = import_keras()
    # Private, and the only place: keras.src.backend.tensorflow.core.name_scope hands the bare
    # layer name to tf.name_scope. Seen with Keras 3.15.1.
    from keras.src.backend.tensorflow.core import name_scope

    original = name_scope.__init__
    original_call = keras.Operation.__call__
    layers: dict[str, tuple[str, str]] = {}

    def initialize(self: Any, name: str, **options: Any) -> None:
        original(self, "layer", **options)
        self.name = name
        self._tf_name_scope = _Scope(self.caller, layers)

    def call(self: Any, *args: Any, **options: Any) -> Any:
        if isinstance(self, keras.Layer) or not self._inbound_nodes:
            return original_call(self, *args, **options)
        with name_scope(self.name, caller=self):
            return original_call(self, *args, **options)

    token = _active.set(layers)
    name_scope.__init__ = initialize
    keras.Operation.__call__ = call
    try:
        yield layers
    finally:
        keras.Operation.__call__ = original_call
        name_scope.__init__ = original
        _active.reset(token)


def current_path() -> str:
    """The path of what is being called, as `layer_scopes` makes scopes of it; "" outside."""
    # How the calls are nested now, not Keras' own path of a layer: that one depends on how the
    # model was made, and is another one after saving and loading.
    from keras.src.backend.common import global_state

    stack = global_state.get_global_attribute("name_scope_stack") or ()
    return "/".join(entry.name for entry in stack)


class _Scope:
    """Computes its name when it is entered: only then is it known what calls the layer."""

    def __init__(self, caller: Any, layers: dict[str, tuple[str, str]]) -> None:
        self._caller = caller
        self._layers = layers

    def __enter__(self) -> None:
        import tensorflow as tf

        path = current_path()
        scope = plain(path)
        if self._caller is not None:
            self._layers.setdefault(scope, (path, type(self._caller).__name__))
        self._scope = tf.name_scope(scope + "/")
        self._scope.__enter__()

    def __exit__(self, *details: Any) -> None:
        self._scope.__exit__(*details)
