"""GET /v1/models and /v1/models/<id>."""

import asyncio

import msgspec

from lcrt.modelfile.describe import Description
from lcrt.server import inference
from lcrt.server.exchange import JSON_PLAIN, Exchange
from lcrt.server.services import Services


class _Model(msgspec.Struct, frozen=True):
    id: str
    object: str
    created: int
    owned_by: str


def _model(model: Description, name: str) -> _Model:
    return _Model(name, "model", int(model.modified), model.name.namespace)


async def list_models(services: Services, exchange: Exchange) -> None:
    """List the models on disk; no list at all when there is none."""
    models = await asyncio.to_thread(services.catalog.models)
    rows = [_model(model, model.name.short) for model in models]
    body = msgspec.json.encode({"object": "list", "data": rows or None})
    await exchange.reply(200, body + b"\n", JSON_PLAIN)


async def get_model(services: Services, exchange: Exchange) -> None:
    """Describe one model, under the name that was asked for."""
    name = inference.parse_name(exchange.param)
    model = await inference.find_model(services, exchange.param, f"model '{name.short}' not found")
    await exchange.reply(200, msgspec.json.encode(_model(model, exchange.param)) + b"\n", JSON_PLAIN)
