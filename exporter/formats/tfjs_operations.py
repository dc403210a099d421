"""Which operations a TF.js graph model may hold, so that it runs on cpu and on wasm alike.

Owns what tensorflowjs' own list of operations does not say: what is on it and has no kernel on one
of the two backends or needs strings. Kernels as registered by @tensorflow/tfjs-backend-cpu and
-wasm 4.22.0; a test asks them. May import `exporter.graphs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exporter.graphs.refusal import RANDOM, is_random

MOST_AXES = 6
"""The largest rank of a tensor in tfjs-core."""

_NO_KERNEL = "TF.js has no kernel for it on wasm"
_STRINGS = "it works on strings or look-up tables, which wasm does not have"
_STATE = "it needs lists of tensors, which TF.js does not run"

EXCLUDED: dict[str, str] = {
    **dict.fromkeys(
        ("Complex", "ComplexAbs", "Einsum", "FFT", "IFFT", "IRFFT", "Imag", "RFFT", "Real",
         "RaggedGather", "RaggedRange", "RaggedTensorToTensor"), _NO_KERNEL),
    **dict.fromkeys(
        ("HashTable", "HashTableV2", "InitializeTable", "InitializeTableV2", "LookupTableFind",
         "LookupTableFindV2", "LookupTableImport", "LookupTableImportV2", "LookupTableSize",
         "LookupTableSizeV2", "StaticRegexReplace", "StringNGrams", "StringSplit",
         "StringToHashBucketFast", "SimpleMLCreateModelResource", "SimpleMLInferenceOpWithHandle",
         "SimpleMLLoadModelFromPathWithHandle"), _STRINGS),
    **dict.fromkeys(
        ("EmptyTensorList", "TensorArrayCloseV3", "TensorArrayConcatV3", "TensorArrayGatherV3",
         "TensorArrayReadV3", "TensorArrayScatterV3", "TensorArraySizeV3", "TensorArraySplitV3",
         "TensorArrayV3", "TensorArrayWriteV3", "TensorListConcat", "TensorListConcatV2",
         "TensorListFromTensor", "TensorListGather", "TensorListGetItem", "TensorListLength",
         "TensorListPopBack", "TensorListPushBack", "TensorListReserve", "TensorListResize",
         "TensorListScatter", "TensorListScatterV2", "TensorListSetItem", "TensorListSplit",
         "TensorListStack"), _STATE),
    "BitwiseAnd": "TF.js loses its arguments",
    "ImageProjectiveTransformV3": "TF.js rounds places otherwise on cpu",
    "MatrixBandPart": "TF.js keeps the whole matrix on cpu",
    "OneHot": "TF.js writes integers where floats belong on wasm",
    "Prelu": "TF.js misreads shared slopes on wasm",
}  # fmt: skip
_DTYPES = frozenset({"float32", "float64", "int32", "int64", "uint8", "int8", "bool"})


def objections(
    graph: Any, needed: set[str], supported: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """(operation's name, reason) for each operation that TF.js would not run or get wrong.

    Args:
        graph: The TensorFlow graph.
        needed: The names of the operations that the outputs need.
        supported: The operations on tensorflowjs' own list.
    """
    for op in graph.get_operations():
        if op.name not in needed:
            continue
        if is_random(op.type):
            yield op.name, RANDOM
            continue
        if op.type not in supported:
            yield op.name, f"TF.js has no operation {op.type}"
        elif op.type in EXCLUDED:
            yield op.name, f"operation {op.type}: {EXCLUDED[op.type]}"
        for tensor in op.outputs:
            if tensor.shape.rank is not None and tensor.shape.rank > MOST_AXES:
                yield (
                    op.name,
                    f"TF.js has tensors of up to {MOST_AXES} axes, this has {tensor.shape.rank}",
                )
            if tensor.dtype.name not in _DTYPES:
                yield op.name, f"TF.js has no tensors of {tensor.dtype.name}"
