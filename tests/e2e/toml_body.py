"""Teaches schemathesis to send texts as `application/toml`: it reads this by SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/toml")
def toml(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()
