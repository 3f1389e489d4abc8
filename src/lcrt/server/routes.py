"""Every path that is answered."""

from lcrt.server import tokens
from lcrt.server.anthropic.messages import messages
from lcrt.server.errors import Dialect
from lcrt.server.ollama import blobs, models, system
from lcrt.server.ollama.chat import chat
from lcrt.server.ollama.create import create_model
from lcrt.server.ollama.embed import embed, embeddings
from lcrt.server.ollama.generate import generate
from lcrt.server.ollama.pull import pull
from lcrt.server.ollama.push import push
from lcrt.server.openai import absent as openai_absent
from lcrt.server.openai.chat import chat_completions
from lcrt.server.openai.completions import completions
from lcrt.server.openai.embeddings import embeddings as openai_embeddings
from lcrt.server.openai.models import get_model, list_models
from lcrt.server.openai.rerank import rerank
from lcrt.server.router import Handler, Methods, Route


def _get(handler: Handler, *, head: bool = False) -> Methods:
    route = Route(handler)
    return {"GET": route, "HEAD": route} if head else {"GET": route}


def _post(handler: Handler) -> Methods:
    return {"POST": Route(handler)}


def _openai(method: str, handler: Handler) -> Methods:
    return {method: Route(handler, Dialect.OPENAI)}


TABLE: dict[str, Methods] = {
    "/": _get(system.root, head=True),
    "/api/version": _get(system.version, head=True),
    "/api/status": _get(system.status),
    "/api/tags": _get(models.tags, head=True),
    "/api/ps": _get(models.ps),
    "/api/generate": _post(generate),
    "/api/chat": _post(chat),
    "/api/embed": _post(embed),
    "/api/embeddings": _post(embeddings),
    "/api/tokenize": _post(tokens.api_tokenise),
    "/api/detokenize": _post(tokens.api_detokenise),
    "/api/show": _post(models.show),
    "/api/create": _post(create_model),
    "/api/copy": _post(models.copy),
    "/api/delete": {"DELETE": Route(models.delete)},
    "/api/pull": _post(pull),
    "/api/push": _post(push),
    "/api/blobs/": {"HEAD": Route(blobs.probe), "POST": Route(blobs.upload)},
    "/api/me": _post(system.me),
    "/api/signout": _post(system.sign_out),
    "/api/user/keys/": {"DELETE": Route(system.sign_out)},
    "/api/experimental/web_search": _post(system.cloud),
    "/api/experimental/web_fetch": _post(system.cloud),
    "/v1/chat/completions": _openai("POST", chat_completions),
    "/v1/completions": _openai("POST", completions),
    "/v1/embeddings": _openai("POST", openai_embeddings),
    "/v1/rerank": _openai("POST", rerank),
    "/rerank": _openai("POST", rerank),
    "/v1/tokenize": _openai("POST", tokens.tokenise),
    "/v1/detokenize": _openai("POST", tokens.detokenise),
    "/tokenize": _openai("POST", tokens.tokenise),
    "/detokenize": _openai("POST", tokens.detokenise),
    "/v1/responses": _openai("POST", openai_absent.responses),
    "/v1/audio/transcriptions": _openai("POST", openai_absent.transcriptions),
    "/v1/models": _openai("GET", list_models),
    "/v1/models/": _openai("GET", get_model),
    "/v1/messages": {"POST": Route(messages, Dialect.ANTHROPIC)},
}
