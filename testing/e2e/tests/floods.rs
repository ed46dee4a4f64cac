//! Clients that are many, slow, silent or mad: boto3 gets its answers all the same, and the memory of `berth up` stays
//! under bounds that are written here.

use kit::{BOTO, Machine};

/// Comes after [`BOTO`]: sockets that behave badly, and what the server is then.
const FLOOD: &str = r#"
import os, resource, socket, statistics, threading
PID = int(os.environ["BERTH_PROCESS"])
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
def rss(): return int(next(l for l in open(f"/proc/{PID}/status") if l.startswith("VmRSS")).split()[1]) / 1024
def descriptors(): return len(os.listdir(f"/proc/{PID}/fd"))
def connect(data=b""):
    s = socket.create_connection(("127.0.0.1", 4566), timeout=30)
    if data: s.sendall(data)
    return s
def patient(): return boto3.client("ecs", config=Config(retries={"max_attempts": 4, "mode": "standard"}, read_timeout=20))
def answers(count=50):
    """Milliseconds of calls, each on a connection of its own, as many small programs make them."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        assert patient_client.list_clusters()["clusterArns"]
        times.append((time.monotonic() - began) * 1000)
    return f"p50 {statistics.median(times):.1f} ms, max {max(times):.1f} ms"
patient_client = patient()
answers(5)
"#;

fn flood(script: &str) -> String {
    let machine = Machine::up();
    let script = format!("{BOTO}\n{FLOOD}\n{script}");
    let mut client = machine.client("python3");
    let output = client.env("BERTH_PROCESS", machine.process().to_string()).args(["-c", &script]).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    print!("{said}");
    said.into_owned()
}

#[test]
fn ten_thousand_idle_connections() {
    flood(
        r#"
before = rss()
# As many as this machine lets one process have, on either side.
count = min(10_000, HARD - 500, int(open(f"/proc/{PID}/limits").read().split("Max open files")[1].split()[0]) - 500)
assert count >= 500, f"only {count} descriptors"
alone = answers()
held = [connect() for _ in range(count)]
until("all are accepted", lambda: descriptors() >= count)
among = answers()
each = (rss() - before) * 1024 / count
print(f"{count} idle connections: {each:.1f} KiB each; {alone} alone, {among} among them")
assert each < 32, f"{each} KiB for an idle connection"
# Half of a head each: nothing of it is a request yet.
for s in held: s.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Amazon")
among = answers()
each = (rss() - before) * 1024 / count
print(f"{count} half heads: {each:.1f} KiB each; {among} among them")
assert each < 48, f"{each} KiB for half a head"
for s in held: s.close()
until("all are gone", lambda: descriptors() < count / 2)
print(f"and gone: {answers()}")
"#,
    );
}

#[test]
fn slow_uploads_and_answers_that_nobody_takes() {
    flood(
        r#"
before = rss()
# Nine of ten announced MiB each: together far more than the server gives to bodies.
head = (b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\n"
        b"x-amz-target: AmazonEC2ContainerServiceV20141113.ListClusters\r\ncontent-length: 10485760\r\n\r\n")
held, refused = [], 0
for _ in range(100):
    s = connect(head)
    s.settimeout(1)
    try: s.sendall(b" " * (9 << 20))
    except OSError: refused += 1
    held.append(s)
slow = rss() - before
print(f"100 bodies of 9 MiB that do not end: {slow:.0f} MiB, {refused} refused; {answers()} meanwhile")
assert refused > 0, "every one found room"
assert slow < 700, f"{slow} MiB for bodies"
for s in held: s.close()
until("they are gone", lambda: descriptors() < 100)

logs.create_log_group(logGroupName="big")
logs.create_log_stream(logGroupName="big", logStreamName="s")
for at in range(8):
    events = [{"timestamp": int(time.time() * 1000), "message": "x" * 200_000} for _ in range(5)]
    logs.put_log_events(logGroupName="big", logStreamName="s", logEvents=events)
before = rss()
body = b'{"logGroupName":"big","logStreamName":"s","startFromHead":true}'
ask = (b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\n"
       b"x-amz-target: Logs_20140328.GetLogEvents\r\ncontent-length: %d\r\n\r\n" % len(body)) + body
held = []
for _ in range(1000):
    s = socket.socket()
    # Little of an answer fits into the socket itself.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", 4566))
    s.sendall(ask)
    held.append(s)
meanwhile = answers(200)
slow = rss() - before
print(f"1000 answers of 1 MB that nobody takes: {slow:.0f} MiB; {meanwhile} meanwhile")
assert slow < 800, f"{slow} MiB for answers"
for s in held: s.close()
until("they are gone", lambda: descriptors() < 100)
print(answers())
"#,
    );
}

#[test]
fn nonsense_on_every_endpoint() {
    flood(
        r#"
paths = ["/", "/v2/", "/v2/_catalog", "/v2/a/blobs/uploads/", "/v2/a/manifests/1", "/v2/a/tags/list?n=99999999999999999999", "/acs/ws",
         "/tcs/ws?cluster=%", "/acs/ws?clusterArn=x&containerInstanceArn=y", "/_berth/health", "/_berth/usage", "/nothing", "/" + "x" * 9000]
requests = []
for path in paths:
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]:
        line = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
        requests.append((line + "\r\n").encode())
        requests.append((line + "content-length: 9\r\nx-amz-target: a.b\r\ncontent-type: application/x-amz-json-1.1\r\n\r\n{\"a\":[[[[").encode())
        requests.append((line + "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx").encode())
        requests.append((line + "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n").encode())
        requests.append((line + "authorization: AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;, Signature=zz\r\n\r\n").encode())
requests += [os.urandom(3000), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
before, seconds, sent = rss(), 6, [0] * 16
end = time.monotonic() + seconds
def mad(which):
    at = which
    while time.monotonic() < end:
        try:
            s = connect(requests[at % len(requests)])
            s.settimeout(0.05)
            try: s.recv(65536)
            except OSError: pass
            s.close()
        except OSError: pass
        at += 7
        sent[which] += 1
threads = [threading.Thread(target=mad, args=(which,)) for which in range(len(sent))]
for t in threads: t.start()
meanwhile = answers(20)
for t in threads: t.join()
until("they are gone", lambda: descriptors() < 200)
grown = rss() - before
print(f"{sum(sent) / seconds:.0f} mad requests a second: {grown:.0f} MiB; {meanwhile} meanwhile, {answers()} afterwards")
assert sum(sent) > 2 * len(requests), f"{sum(sent)} of {len(requests)}"
assert grown < 100, f"{grown} MiB"
"#,
    );
}
