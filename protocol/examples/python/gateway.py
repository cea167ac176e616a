"""A gateway in Python: asks an engine about authorisation requests over QUIC, on aioquic, in under a hundred lines.

It knows what protocol/WIRE.md says and nothing else: every offset, number and name comes from its tables, in its words
(numbers for countries and currencies, milliseconds for times). Requests are JSON, one a line, and so are answers:

    python3 gateway.py 127.0.0.1:7443 data/dev/gateway < requests.ndjson
"""
import asyncio, ipaddress, json, pathlib, re, struct, sys
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived

WIRE = (pathlib.Path(__file__).resolve().parents[2] / "WIRE.md").read_text(encoding="utf-8")
printed = lambda mark: WIRE.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]
cells = lambda line: [re.sub("^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip("|").split("|")]
rows = lambda mark: [cells(line) for line in printed(mark).strip().splitlines()[2:]]
layout = lambda mark: {field: (int(at), int(size)) for at, size, field in rows(mark)}
numbered = lambda text: {name: int(number) for number, name in re.findall(r"(\d+) `([^`]+)`", text)}
KINDS = {name: int(number) for number, name in rows("message-kinds")}
FIELDS = {name: (int(bit), place) for bit, name, place in rows("request-fields")}
TEXTS = re.findall(r"`([^`]+)`", printed("request-texts"))
VALUES = {name: numbered(values) for mark in ("values", "exchange-values") for name, values in rows(mark)}
VALUES |= {"challenge_possible": {False: 1, True: 2}, "why": {name: int(number) for number, name, _ in rows("why")}}
HEAD, ANSWER, SAID = layout("request-head"), layout("answer-head"), layout("exchange-answer-head")
CRC32C = list(range(256))
for _ in range(8):
    CRC32C = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in CRC32C]

def frame(kind, message, version=1):
    head, crc = struct.pack("<HBB", len(message), version, kind), 0xFFFFFFFF
    for byte in head + message:
        crc = CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    return head + struct.pack("<I", crc ^ 0xFFFFFFFF) + message

def pack(table, values):
    message = bytearray(max(at + size for at, size in table.values()))
    for name, value in values.items():
        at, size = table[name]
        message[at : at + size] = value if isinstance(value, bytes) else value.to_bytes(size, "little", signed=value < 0)
    return bytes(message)

def in_the_head(name, value):
    if name == "ip":
        return ipaddress.IPv6Address(value if ":" in value else f"::ffff:{value}").packed
    if name in ("request_id", "auth_of_request_id", "pan_digest"):
        return bytes.fromhex(value)
    return len(str(value)) * 10**8 + int(value) if name == "card_bin" else VALUES.get(name, {}).get(value, value)

def screen(request):
    """An authorisation request as a message."""
    head, texts = {"presence": 0, "stage": VALUES["stage"]["authorisation"]}, {}
    for name, value in request.items():
        (bit, place), flat = FIELDS[name], name.replace(".", "_")
        head["presence"] |= 1 << bit if bit < 64 else 0
        (texts if place == "text" else head)[flat] = value if place == "text" else in_the_head(flat, value)
    return pack(HEAD, head) + b"".join(bytes([len(texts[t].encode())]) + texts[t].encode() for t in TEXTS if t in texts)

def read(kind, message):
    """An answer in the words of WIRE.md."""
    table = ANSWER if kind == KINDS["screen_answer"] else SAID
    head = {name: int.from_bytes(message[at : at + size], "little", signed="score" in name) for name, (at, size) in table.items()}
    word = lambda field, number: next((name for name, known in VALUES[field].items() if known == number), number)
    bits = lambda mark, number: {name: number >> bit & 3 for name, bit in numbered(printed(mark)).items()}
    if table is SAID:
        return {"said": head["said"], "refusal": word("refusal", head["refusal"]), "rest": message[32:]}
    answer = {"request_id": message[:16].hex(), "staleness_ms": head["staleness_ms"], "engine_us": head["engine_us"]}
    answer["checked"] = {key: ("absent", "checked", "warming")[how] for key, how in bits("checked", head["checked"]).items()}
    answer["degraded"] = [name for name, how in bits("degraded", head["degraded"]).items() if how & 1]
    answer["rule_set_digest"] = message[ANSWER["rule_set_digest"][0] :][:16].hex()
    if head["screened"] != 1:
        return answer | {"not_screened": word("why", head["why"]), "retry_after_ms": head["retry_after_ms"]}
    reasons = list(struct.unpack_from("<8H", message, ANSWER["reasons"][0])[: head["reasons_len"]])
    return answer | {name: word(name, head[name]) for name in ("outcome", "review")} | {"score": head["score"], "reasons": reasons}

class Gateway(QuicConnectionProtocol):
    """One connection with one stream: asks any number of questions at once and tells the answers apart by their id."""
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.stream, self.inbox, self.waiting = None, b"", {}

    async def ask(self, questions, seconds=2):
        """Sends messages, each with its kind, in one write; gives back their answers in the order of the questions."""
        self.stream = self._quic.get_next_available_stream_id() if self.stream is None else self.stream
        answers = [self.waiting.setdefault(message[:16], self._loop.create_future()) for _, message in questions]
        self._quic.send_stream_data(self.stream, b"".join(frame(kind, message) for kind, message in questions))
        self.transmit()
        return await asyncio.wait_for(asyncio.gather(*answers), seconds)

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.inbox += event.data
            while len(self.inbox) >= 8 and len(self.inbox) >= (end := 8 + int.from_bytes(self.inbox[:2], "little")):
                whole, self.inbox = self.inbox[:end], self.inbox[end:]
                if whole == frame(whole[3], whole[8:]) and (answer := self.waiting.pop(whole[8:24], None)):
                    answer.set_result(read(whole[3], whole[8:]))
        elif isinstance(event, ConnectionTerminated):
            for answer in filter(lambda answer: not answer.done(), self.waiting.values()):
                answer.set_exception(ConnectionError(f"closed: {event.error_code} {event.reason_phrase}"))

def connected(engine, identity):
    host, port = engine.rsplit(":", 1)
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["sparr/1"])
    configuration.load_cert_chain(f"{identity}/cert.pem", f"{identity}/key.pem")
    configuration.load_verify_locations(f"{identity}/ca.pem")
    return connect(host, int(port), configuration=configuration, create_protocol=Gateway)

async def main(engine, identity):
    questions = [(KINDS["screen"], screen(json.loads(line))) for line in sys.stdin if line.strip()]
    async with connected(engine, identity) as gateway:
        for answer in await gateway.ask(questions):
            print(json.dumps(answer))

if __name__ == "__main__": asyncio.run(main(*sys.argv[1:3]))
