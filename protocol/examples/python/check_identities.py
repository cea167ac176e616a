"""Asks an engine whether people's numbers arrive as the people whom they name, before a gateway screens anybody.

A gateway that keeps numbers as integers, or strips their signs, does not find flags, and nothing else will tell it. Put what
yours makes of a customer's number in the place of `as_sent`:

    python3 check_identities.py 127.0.0.1:7443 data/dev/gateway
"""
import asyncio, sys
from gateway import KINDS, VALUES, connected, layout, pack

HEAD = layout("exchange-request-head")
END = 4

def question(number, texts=()):
    operation = VALUES["operation"]["identity_check"]
    head = pack(HEAD, {"id": number.to_bytes(16, "big"), "operation": operation})
    return KINDS["exchange"], head + bytes([len(texts)]) + b"".join(bytes([len(text)]) + text for text in texts)

async def wrong(gateway, as_sent):
    """The first number that arrives as somebody else or as nobody, in words; nothing where all of them are right."""
    named = (await gateway.ask([question(1)]))[0]["rest"][1:].decode()
    sent = [as_sent(number).encode() or b"-" for number in named.split(" ")]
    answer = (await gateway.ask([question(2, sent)]))[0]
    return None if answer["said"] == END else answer["rest"][1:].decode()

def as_sent(number):
    """What this gateway sends for a number that somebody typed."""
    return number

async def main(engine, identity):
    async with connected(engine, identity) as gateway:
        problem = await wrong(gateway, as_sent)
    sys.exit(problem or print("every number arrives as the person whom it names"))

if __name__ == "__main__": asyncio.run(main(*sys.argv[1:3]))
