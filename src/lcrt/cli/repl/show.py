"""What ``/show`` prints."""

from lcrt.cli.output.facts import describe
from lcrt.cli.repl.effects import Part
from lcrt.cli.session import Session
from lcrt.client.wire import Shown

_NONE = {
    "license": "No license was specified for this model.",
    "parameters": "No parameters were specified for this model.",
    "system": "No system message was specified for this model.",
    "template": "No prompt template was specified for this model.",
    "modelfile": "No Modelfile is known for this model.",
}


def shown_part(part: Part, session: Session, shown: Shown) -> str:
    """Return a part of the model, as this conversation has changed it; ends with a line end."""
    if part == "info":
        return describe(shown)
    if part == "parameters":
        text = _parameters(session, shown)
    elif part == "system":
        text = session.system or shown.system
    else:
        text = {"license": shown.license, "modelfile": shown.modelfile, "template": shown.template}[part]
    return (text or _NONE[part]).rstrip("\n") + "\n"


def _parameters(session: Session, shown: Shown) -> str:
    if not session.options:
        return shown.parameters
    own = "\n".join(f"  {name:30} {value}" for name, value in session.options.items())
    theirs = "\n".join(f"  {line}" for line in shown.parameters.splitlines())
    model = f"Model defined parameters:\n{theirs}\n\n" if theirs else ""
    return f"{model}User defined parameters:\n{own}"
