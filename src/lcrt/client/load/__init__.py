"""Load on any Ollama or OpenAI endpoint: many streams from one cheap asyncio client.

``report = asyncio.run(drive(Plan(...)))`` sends the requests of a plan and measures when every
token arrives. One client for every server, so that figures can be compared.
"""

from lcrt.client.load.drive import drive
from lcrt.client.load.plan import Plan
from lcrt.client.load.report import Report, Spread, as_text

__all__ = ["Plan", "Report", "Spread", "as_text", "drive"]
