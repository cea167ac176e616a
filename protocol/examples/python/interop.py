"""The interoperation test of gateway.py with running engines: many frames, answers out of order, every refusal.

    python3 interop.py IDENTITIES ENGINE ENGINE_THAT_REQUIRES_A_SUBJECT ENGINE_WITHOUT_RULES

`engine/tests/whole/python.rs` starts them. Prints one line for each part and ends with 0 where all of them held.
"""
import asyncio, itertools, pathlib, sys, time
import gateway as example
from gateway import ANSWER, KINDS, VALUES, connected, frame, layout, pack, read, screen

TOLVAN = "191212121212"
IDS = (number.to_bytes(16, "big") for number in itertools.count(time.time_ns()))
CLOSED = "the connection was closed"
ORDER = []


def noting(kind, message):
    """Reads an answer and notes when it came."""
    ORDER.append(message[:16])
    return read(kind, message)


example.read = noting


def invoice(**fields):
    return {"request_id": next(IDS).hex(), "kind": "invoice", "subject": TOLVAN, "amount_minor": 5716, "currency": 752} | fields


def asked(request):
    return KINDS["screen"], screen(request)


def told(request_id):
    """A final result: it is durable before it is answered, so it is answered late."""
    fields = {"id": next(IDS), "request_id": bytes.fromhex(request_id), "time": int(time.time() * 1000)}
    return KINDS["final_result"], pack(layout("final-result"), fields | {"result": VALUES["`result` of a final result"]["declined"]})


def changed(message, at, byte):
    return message[:at] + bytes([byte]) + message[at + 1 :]


async def one_by_one(identities, engine):
    async with connected(engine, f"{identities}/gateway") as gateway:
        requests = [invoice() for _ in range(2000)]
        answers = await gateway.ask([asked(request) for request in requests], seconds=30)
        assert [answer["request_id"] for answer in answers] == [request["request_id"] for request in requests]
        assert all("outcome" in answer for answer in answers), answers[0]
        again = await gateway.ask([asked(requests[0])])
        assert again[0] == answers[0], "the same question under the same id has the same answer"
    print("many frames: 2000 in one write, each answered under its own id")


async def out_of_order(identities, engine):
    async with connected(engine, f"{identities}/gateway") as gateway:
        first = invoice()
        await gateway.ask([asked(first)])
        questions = [told(first["request_id"])] + [asked(invoice()) for _ in range(50)]
        ORDER.clear()
        answers = await gateway.ask(questions)
        in_order = [message[:16] for _, message in questions]
        assert answers[0]["said"] == 1 and all("outcome" in answer for answer in answers[1:]), answers[0]
        assert sorted(ORDER) == sorted(in_order) and ORDER != in_order, "durable comes later"
    print("out of order: a final result and 50 requests after it, each found by its id")


async def refusal(gateway, question):
    """What a question is refused with; a raw frame is given as bytes."""
    if isinstance(question, bytes):
        gateway.stream = gateway._quic.get_next_available_stream_id()
        answer = gateway.waiting.setdefault(question[8:24], asyncio.get_running_loop().create_future())
        gateway._quic.send_stream_data(gateway.stream, question)
        gateway.transmit()
        answered = await asyncio.wait_for(answer, 5)
        gateway.stream = None
    else:
        answered = (await gateway.ask([question], seconds=5))[0]
    return answered.get("not_screened") or answered.get("refusal")


async def refusals(identities, engine, strict, ruleless):
    first, kind = invoice(), KINDS["screen"]
    whole = screen(first)
    fresh = lambda: screen(invoice())
    head = layout("request-head")
    at = lambda field: head[field][0]
    table = [
        ("gateway", engine, frame(kind, fresh(), version=2), "wrong_version"),
        ("gateway", engine, frame(kind, fresh() + bytes(2000)), "too_large"),
        ("gateway", engine, (kind, fresh()[: at("kind")]), "frame_malformed"),
        ("gateway", engine, changed(frame(kind, fresh()), 40, 1), "frame_malformed"),
        ("gateway", engine, (77, fresh()), "unknown_kind"),
        ("desk", engine, (kind, fresh()), "not_permitted"),
        ("gateway", engine, (kind, changed(fresh(), at("kind"), 99)), "field_malformed"),
        ("gateway", engine, (kind, changed(fresh(), at("channel"), 1)), "field_malformed"),
        ("gateway", engine, (kind, changed(fresh(), at("reserved"), 1)), "field_malformed"),
        ("gateway", engine, asked(invoice(email="anna")), "field_malformed"),
        ("gateway", engine, asked(invoice(subject="191212121213")), "identity_malformed"),
        ("gateway", engine, asked(invoice(payment_id="4111 1111 1111 1111")), "card_number_refused"),
        ("gateway", engine, asked(invoice(event_time=1)), "time_skew"),
        ("gateway", engine, (kind, whole), None),
        ("gateway", engine, asked(first | {"amount_minor": 5717}), "id_conflict"),
        ("gateway", engine, (KINDS["final_result"], fresh()), "frame_malformed"),
        ("desk", engine, told(first["request_id"]), "not_permitted"),
        ("gateway", strict, asked({"request_id": next(IDS).hex(), "kind": "invoice"}), "field_missing"),
        ("gateway", ruleless, (kind, fresh()), "no_rules"),
    ]
    for row, (role, address, question, expected) in enumerate(table):
        # The engines share an authority only with themselves: each has a folder of identities of its own.
        folder = identities[[engine, strict, ruleless].index(address)]
        async with connected(address, f"{folder}/{role}") as gateway:
            said = await refusal(gateway, question)
            assert said == expected, f"row {row}: {said} instead of {expected}"
    # What an engine says only when it is in need is read out of an answer that says it.
    answer = (pathlib.Path(__file__).resolve().parents[2] / "tests/golden/v1/answer-not-screened.bin").read_bytes()
    for name, number in VALUES["why"].items():
        assert read(answer[3], changed(answer[8:], ANSWER["why"][0], number))["not_screened"] == name
    print(f"refusals: {len(table)} heard from an engine, {len(VALUES['why'])} read")


async def strangers(identities, engine):
    for who in ("engine", "../other/gateway"):
        try:
            async with connected(engine, f"{identities}/{who}") as gateway:
                await gateway.ask([asked(invoice())])
            said = "was let in"
        except (ConnectionError, asyncio.TimeoutError) as error:
            said = CLOSED if isinstance(error, ConnectionError) else "was not answered"
        assert said == CLOSED, f"{who}: {said}"
    print("strangers: neither a certificate without a caller nor another authority's is let in")


async def main(engine, strict, ruleless, *identities):
    await one_by_one(identities[0], engine)
    await out_of_order(identities[0], engine)
    await refusals(identities, engine, strict, ruleless)
    await strangers(identities[0], engine)


asyncio.run(main(*sys.argv[1:7]))
