#!/usr/bin/env python3
"""What `session-manager-plugin` does for a shell, written from the facts of its public source and with nothing of Berth:
the AWS CLI starts it as it starts the real one."""
import base64, fcntl, hashlib, json, os, select, socket, struct, sys, termios, time, tty, uuid
from urllib.parse import urlsplit

HEADER = struct.Struct(">I32sIQqQ16s32sI")


def encode(kind, sequence, flags, payload_type, payload):
    message = uuid.uuid4().bytes
    head = HEADER.pack(116, kind.encode().ljust(32), 1, int(time.time() * 1000), sequence, flags,
                       message[8:] + message[:8], hashlib.sha256(payload).digest(), payload_type)
    return head + struct.pack(">I", len(payload)) + payload


def decode(frame):
    length, kind, _, created, sequence, flags, message, digest, payload_type = HEADER.unpack(frame[:116])
    said = struct.unpack(">I", frame[116:120])[0]
    payload = frame[length + 4:]
    assert length == 116 and said == len(payload) and created > 1_600_000_000_000, frame
    assert hashlib.sha256(payload).digest() == digest, "payload hash is not valid"
    return kind.decode().rstrip(" \0"), sequence, flags, uuid.UUID(bytes=message[8:] + message[:8]), payload_type, payload


class WebSocket:
    def __init__(self, url):
        parts = urlsplit(url)
        assert parts.scheme == "ws", url
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], head
        self.socket.settimeout(None)

    def fill(self):
        some = self.socket.recv(65536)
        if not some:
            raise EOFError
        self.buffer += some

    def send(self, opcode, data):
        size = len(data)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | size]) if size < 126 else
                                         bytes([0x80 | 126]) + struct.pack(">H", size) if size < 65536 else
                                         bytes([0x80 | 127]) + struct.pack(">Q", size))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def frames(self):
        """Whole frames that are here already."""
        while len(self.buffer) >= 2:
            opcode, size, at = self.buffer[0] & 15, self.buffer[1] & 127, 2
            if size == 126:
                size, at = struct.unpack(">H", self.buffer[2:4].ljust(2, b"\0"))[0], 4
            elif size == 127:
                size, at = struct.unpack(">Q", self.buffer[2:10].ljust(8, b"\0"))[0], 10
            if len(self.buffer) < at + size:
                return
            data, self.buffer = self.buffer[at:at + size], self.buffer[at + size:]
            if opcode == 8:
                raise EOFError
            if opcode == 9:
                self.send(10, data)
            if opcode in (1, 2):
                yield data


class Plugin:
    def __init__(self, session):
        self.session, self.sent, self.expected, self.early = session, 0, 0, {}
        self.size, self.ready = None, False
        self.unacknowledged = {}
        self.web = WebSocket(session["StreamUrl" if "StreamUrl" in session else "streamUrl"])
        token = session.get("TokenValue") or session["tokenValue"]
        self.web.send(1, json.dumps({"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": token,
                                     "ClientId": str(uuid.uuid4()), "ClientVersion": "1.2.650.0"}).encode())

    def say(self, payload_type, payload):
        self.unacknowledged[self.sent] = frame = encode("input_stream_data", self.sent, 0, payload_type, payload)
        self.web.send(2, frame)
        self.sent += 1

    def hear(self, frame):
        kind, sequence, flags, message, payload_type, payload = decode(frame)
        if kind == "acknowledge":
            said = json.loads(payload)
            assert said["AcknowledgedMessageType"] == "input_stream_data" and said["IsSequentialMessage"] is True, said
            self.unacknowledged.pop(said["AcknowledgedMessageSequenceNumber"], None)
        elif kind == "channel_closed":
            said = json.loads(payload)
            name = self.session.get("SessionId") or self.session["sessionId"]
            assert said["SessionId"] == name, said
            text = f"SessionId: {name} : {said['Output']}" if said["Output"] else f"Exiting session with sessionId: {name}."
            os.write(1, f"\n\n{text}\n\n".encode())
            return True
        elif kind == "output_stream_data":
            assert (sequence == 0) == (flags & 1 == 1), "the first has SYN"
            answer = {"AcknowledgedMessageType": kind, "AcknowledgedMessageId": str(message),
                      "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": True}
            self.web.send(2, encode("acknowledge", 0, 3, 0, json.dumps(answer).encode()))
            if sequence >= self.expected:
                self.early[sequence] = (payload_type, payload)
            while self.expected in self.early:
                self.take(*self.early.pop(self.expected))
                self.expected += 1
        return False

    def take(self, payload_type, payload):
        if payload_type == 5:
            asked = json.loads(payload)["RequestedClientActions"]
            done = [{"ActionType": one["ActionType"], "ActionStatus": 1, "ActionResult": None, "Error": ""} for one in asked]
            assert asked[0]["ActionParameters"]["SessionType"] == "InteractiveCommands", asked
            self.say(6, json.dumps({"ClientVersion": "1.2.650.0", "ProcessedClientActions": done, "Errors": None}).encode())
        elif payload_type == 7:
            assert json.loads(payload)["HandshakeTimeToComplete"] > 0
            self.ready = True
        else:
            # The real one shows whatever else comes.
            while payload:
                payload = payload[os.write(1, payload):]

    def look_at_size(self):
        rows, columns = struct.unpack("HHHH", fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8))[:2] if os.isatty(1) else (100, 300)
        if self.size != (rows, columns):
            self.size = (rows, columns)
            self.say(3, json.dumps({"cols": columns, "rows": rows}).encode())

    def run(self):
        inputs = [self.web.socket, 0]
        while True:
            for frame in self.web.frames():
                if self.hear(frame):
                    return
            if self.ready:
                self.look_at_size()
            readable = select.select(inputs if self.ready else inputs[:1], [], [], 0.5)[0]
            if self.web.socket in readable:
                self.web.fill()
            if 0 in readable:
                typed = os.read(0, 1024)
                if typed:
                    self.say(1, b"\r" if typed == b"\n" else typed)
                else:
                    inputs.remove(0)
            if not readable:
                for frame in self.unacknowledged.values():
                    self.web.send(2, frame)
                    break


def main():
    if len(sys.argv) < 2:
        print("\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n")
        return
    assert sys.argv[3] == "StartSession", sys.argv
    assert json.loads(sys.argv[5])["Target"].startswith("ecs:"), sys.argv
    before = termios.tcgetattr(0) if os.isatty(0) else None
    if before:
        tty.setraw(0)
    try:
        Plugin(json.loads(sys.argv[1])).run()
    except EOFError:
        os.write(1, b"\nthe connection ended without a word\n")
        sys.exit(1)
    finally:
        if before:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main()
