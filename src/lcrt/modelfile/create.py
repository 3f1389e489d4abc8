"""Make a model: of another model, or of files whose blobs are in the store.

``create`` is a generator of progress; what goes wrong is raised from it. What the contract answers
with 400 is an InvalidRequest, everything else a StoreError or an EngineError. Nothing is changed
before the manifest is written, and no lock is held between two steps of the generator. Close a
generator that is given up: until then it keeps its blobs from being deleted.
"""

import contextlib
from collections.abc import Generator

from lcrt.core.name import ModelName, ModelRef
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.builder import Builder, Pull
from lcrt.modelfile.filenames import check_files
from lcrt.modelfile.layerlist import LayerList
from lcrt.modelfile.parameters import check_parameters
from lcrt.modelfile.quantize import target_type
from lcrt.store.store import Store
from lcrt.task.progress import Progress

__all__ = ["Progress", "Pull", "check_request", "create"]


def check_request(request: CreateRequest) -> ModelName:
    """Refuse what is wrong at first sight, before any answer has begun; returns the new model's name."""
    try:
        name = ModelRef.parse(request.model).name
    except ValueError as error:
        raise InvalidRequest("invalid model name") from error
    for files in (request.files, request.adapters, request.draft_files):
        check_files(files or {})
    if request.draft_quantize and not request.draft_files:
        raise InvalidRequest("--draft-quantize requires a DRAFT model")
    if request.imatrix and not request.quantize:
        raise InvalidRequest(
            "an importance matrix is only of use where weights are quantized", "say to which type: --quantize Q4_K_M"
        )
    check_parameters(request.parameters)
    return name


def create(
    store: Store, request: CreateRequest, pull: Pull | None = None, *, keep_old: bool = False
) -> Generator[Progress, None, None]:
    """Make the model; ``keep_old`` leaves blobs that only a replaced model needed.

    ``pull`` fetches a base model that is missing; without it that is an error.
    """
    name = check_request(request)
    target, draft_target = target_type(request.quantize), target_type(request.draft_quantize)
    with (
        store.hold() as hold,
        contextlib.closing(Builder(store, LayerList(store, hold), target, draft_target)) as builder,
    ):
        if request.from_:
            yield from builder.take_model(request.from_, pull)
        elif request.files is not None:
            yield from builder.take_files(request.files)
        else:
            raise InvalidRequest("neither 'from' or 'files' was specified")
        yield from builder.take_adapters(request.adapters or {})
        yield from builder.take_draft(request.draft_files or {})
        yield from builder.quantize(request.imatrix)
        if not request.from_:
            yield from builder.finish_files()
        builder.apply(request)
        for status in builder.list.statuses:
            yield Progress(status)
        yield Progress("writing manifest")
        found = builder.list.layers
        store.publish(name, builder.config_blob(), found, keep_old=keep_old)
        hold.made.difference_update(layer.digest for layer in found)
    yield Progress("success")
