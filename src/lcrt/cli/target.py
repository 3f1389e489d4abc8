"""Which daemon the command line speaks to."""

import os

from lcrt.client.api import Api
from lcrt.config.address import Address
from lcrt.config.settings import load_settings


def address() -> Address:
    """Return the address that the settings name, as a client can reach it."""
    return load_settings(os.environ).host.for_client


def daemon() -> Api:
    """Return the daemon; raises NoServer with advice when it does not run."""
    api = Api(address())
    api.ping()
    return api
