"""What to do next about errors that do not say it themselves: their words are those that clients of Ollama know."""

import re

_NAMES = "a name is MODEL[:TAG], NAMESPACE/MODEL[:TAG] or HOST/NAMESPACE/MODEL[:TAG]"
_AGAIN = "fetch that file again from where the model is published"
_A_GGUF = "a GGUF of this model that was made elsewhere can be used: FROM FILE.gguf"
_WEIGHTS = (
    "give a GGUF file or a folder with safetensors; in a git clone a short text may stand for them: `git lfs pull` "
    "fetches what it stands for"
)
_SERVER = "is `lcrt serve` running there? LCRT_HOST says where it is looked for, its log what went wrong"

_ADVICE = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"^model ['\"].*['\"] not found$", "`lcrt list` shows what is here, `lcrt pull` fetches others"),
        (r"^couldn't find model .* to stop$", "`lcrt ps` shows what is loaded"),
        (r"is neither a file nor", "name a GGUF file, or a model that `lcrt list` shows"),
        (r"^invalid model name", _NAMES),
        (
            r"^pull model manifest: file does not exist$",
            "check the name: `lcrt list` shows what is here, the registry has no such model",
        ),
        (r"^file path ", "give that file a plain name"),
        (r"^digest mismatch, expected|^invalid digest", "the file has changed on its way: try again"),
        (r"^no FROM line", "begin the Modelfile with FROM and a model, a GGUF file or a folder"),
        (r"unexpected EOF", 'it ends too early: a text that begins with " or """ must end with the same'),
        (r"unknown parameter", "parameters are temperature, top_k, top_p, num_ctx, num_predict, stop and so on"),
        (r"invalid (int|float|bool) value", "write a number, a whole one for int, or true or false for bool"),
        (r"Modelfile wasn't found", "name it with -f, or make a model without one: lcrt create NAME --from FILE"),
        (r"^no Modelfile or", "name a Modelfile with -f, or the weights with --from"),
        (r"neither 'from' or 'files'", "name a model or files to start from"),
        (r"^split GGUF", "give all files of the model, under the names that they were published with"),
        (r"only one adapter", "leave one ADAPTER, or make a model for each"),
        (r"is not an adapter", "name a LoRA adapter after ADAPTER, and the model after FROM"),
        (r"so it cannot write drafts", "name a whole model of the same vocabulary after DRAFT"),
        (r"requires a DRAFT model", "name one in the Modelfile: DRAFT FILE.gguf"),
        (r"^DRAFT must not", "name a smaller model of the same vocabulary after DRAFT"),
        (r"^quantization is only", "start from weights of one of these types"),
        (r"^unsupported quantization type", "llama.cpp's other types are taken too, such as Q5_K_M or IQ4_XS"),
        (r"importance matrix", "make one with llama-imatrix of this very model, or leave --imatrix away"),
        (r"^template error", "correct the TEMPLATE, or leave it away: the model's own is used then"),
        (r"^requires must be", "say the least version after REQUIRES, or leave it away"),
        (r"^(unknown type|no model among the files)$|not in GGUF format|is not a GGUF file", _WEIGHTS),
        (r"unknown architecture|not supported|cannot be converted|is more than can be|is a GGUF of version", _A_GGUF),
        (r"big-endian GGUF", _A_GGUF),
        (r"could not read|^stat |^cannot (read|resolve)", "check the path and the rights"),
        (
            r"^blob .*: no such file in the store|config is damaged",
            "`lcrt store check --repair` says what to pull again",
        ),
        (
            r"is damaged|cannot be (read|used)|is no (JSON|UTF-8)|holds (no|the)|larger than|^tensor |has no token",
            _AGAIN,
        ),
        (r"^the (weights hold|token )|^a vocabulary of", _AGAIN),
        (r"^(quantizing|converting) failed", "the server's log may say more"),
        (r"tokens do not fit", "ask for fewer"),
        (r"^could not connect to (?!lcrt server)|did not answer in time|connection to the server broke", _SERVER),
        (r"^unexpected answer|not an lcrt or|^the server (sent|answered)", _SERVER),
    )
)


def advised(message: str) -> str:
    """Add what to do next to an error's text, if it does not say and it is known here."""
    if "\n" in message:
        return message
    found = next((text for pattern, text in _ADVICE if pattern.search(message)), "")
    return f"{message}\n{found}" if found else message
