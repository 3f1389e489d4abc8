"""The one place where a status of the C engine becomes an exception. Nothing here for Python."""
