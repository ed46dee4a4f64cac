//! ECS Exec as people have it: through the AWS CLI and its plugin, and through `berth exec`.

use std::process::Command;

use kit::Machine;

/// A script with the shell image, the terminals and the plugin of `exec/prelude.py`.
fn script(machine: &Machine, script: &str) -> String {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exec");
    let prelude = std::fs::read_to_string(format!("{here}/prelude.py")).unwrap();
    let mut command = machine.client("python3");
    command.env("PLUGIN", format!("{here}/plugin.py")).env("BERTH", kit::berth());
    command.args(["-c", &format!("{}\n{prelude}\n{script}", kit::BOTO)]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said.trim().to_owned()
}

fn load(machine: &Machine) {
    let path = script(machine, "print(load_shell_image())");
    machine.person(&format!("image load {path}")).unwrap();
}

#[test]
fn the_aws_cli_opens_a_shell() {
    let mut machine = Machine::up();
    load(&machine);
    script(
        &machine,
        r#"
install_plugin()
logs.create_log_group(logGroupName="typed")
ecs.update_cluster(cluster="default", configuration={"executeCommandConfiguration": {
    "logging": "OVERRIDE", "logConfiguration": {"cloudWatchLogGroupName": "typed"}}})
kept = ecs.describe_clusters(include=["CONFIGURATIONS"])["clusters"][0]["configuration"]["executeCommandConfiguration"]
assert kept == {"logging": "OVERRIDE", "logConfiguration": {"cloudWatchLogGroupName": "typed"}}, kept
refused("InvalidParameterException", ecs.update_cluster, cluster="default", configuration={"executeCommandConfiguration": {
    "logging": "OVERRIDE", "logConfiguration": {"s3KeyPrefix": "b"}}})
s3 = client("s3")
s3.create_bucket(Bucket="typed")
both = {"cloudWatchLogGroupName": "typed", "s3BucketName": "typed", "s3KeyPrefix": "exec/", "s3EncryptionEnabled": True}
ecs.update_cluster(cluster="default", configuration={"executeCommandConfiguration": {"logging": "OVERRIDE", "logConfiguration": both}})
kept = ecs.describe_clusters(include=["CONFIGURATIONS"])["clusters"][0]["configuration"]["executeCommandConfiguration"]
assert kept == {"logging": "OVERRIDE", "logConfiguration": both}, kept
refused("InvalidParameterException", ecs.update_cluster, cluster="default",
        configuration={"executeCommandConfiguration": {"logging": "OVERRIDE"}})
register("shell", [shell(readonlyRootFilesystem=True, user="web")])
arn = run("shell", enableExecuteCommand=True)[0]
exec_ready(arn)

one = Terminal(cli(arn))
one.expect(r"sh-\S+[#$] ")
one.type("stty size\n")
one.expect(r"30 100\r")
one.resize(41, 121)
# The plugin looks for a new size twice a second.
def resized():
    one.type("stty size\n")
    return re.search("41", one.expect(r"(\d+) (\d+)\r")[0])
until("the terminal has another size", resized)
one.type("echo $COLOUR-$(id -u):$(id -g); touch /x; tty=$(test -t 0 && echo yes); echo tty:$tty:\n")
one.expect("blue-1000:1001")
one.expect("Read-only file system")
one.expect("tty:yes:")
# What is started in front ends with Ctrl-C, and the shell goes on.
one.type("sleep 7654321\n")
until("it sleeps", lambda: alive(["sleep", "7654321"]))
one.type("\x03")
until("it ends", lambda: not alive(["sleep", "7654321"]))
one.type("head -c 300000 /dev/zero | while read -r -n 1 -d '' x; do :; done; for i in 1 2 3; do echo many-$i; done; exit 3\n")
one.expect("many-3")
session = one.expect(r"Exiting session with sessionId: (ecs-execute-command-0[0-9a-f]{16})\.")[1]
assert one.wait() == 0

def written():
    events = logs.get_log_events(logGroupName="typed", logStreamName=session)["events"]
    text = "\n".join(event["message"] for event in events)
    return "stty size" in text and "30 100" in text and "many-3" in text and "exit 3" in text
until("what was typed and shown is in the log", written)
def kept():
    found = s3.list_objects_v2(Bucket="typed").get("Contents", [])
    return [entry["Key"] for entry in found] == [f"exec/{session}.log"]
until("and in the bucket", kept)
object = s3.get_object(Bucket="typed", Key=f"exec/{session}.log")
text = object["Body"].read().decode()
assert "stty size" in text and "30 100\r\n" in text and "many-3\r\n" in text and "exit 3" in text, text
assert object["ServerSideEncryption"] == "AES256", object

# A command, and one that is not there.
one = Terminal(cli(arn, "sh -c 'echo said $0 $COLOUR' x"))
one.expect("said x blue")
one.expect("Exiting session")
assert one.wait() == 0
one = Terminal(cli(arn, "nope"))
one.expect(r"SessionId: \S+ : Unable to start command: exec: .nope.: executable file not found in \$PATH")
one.wait()

# A client that is killed takes with it what it started.
one = Terminal(cli(arn))
one.expect(r"sh-\S+[#$] ")
one.type("sleep 7654322\n")
until("it sleeps", lambda: alive(["sleep", "7654322"]))
for pid in filter(str.isdigit, os.listdir("/proc")):
    try: line = open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError: continue
    if HERE.encode() in line and b"session-manager-plugin" in line: os.kill(int(pid), signal.SIGKILL)
one.wait()
until("it is hung up", lambda: not alive(["sleep", "7654322"]))
assert task(arn)["lastStatus"] == "RUNNING" and "exitCode" not in task(arn)["containers"][0]

# Somebody who does not read holds up nobody.
slow = Terminal(cli(arn, "sh -c 'while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done'"))
slow.expect("yyy")
one = Terminal(cli(arn, "sh -c 'echo quick'"))
one.expect("quick")
one.wait()
os.kill(slow.pid, signal.SIGKILL)
os.close(slow.fd)
"#,
    );
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}

#[test]
fn berth_exec_ends_as_the_command_does() {
    let mut machine = Machine::up();
    load(&machine);
    script(
        &machine,
        r#"
register("pair", [shell(), shell(name="other", user="web", essential=False)])
arn = run("pair", enableExecuteCommand=True)[0]
exec_ready(arn)
def berth(*words, **more):
    return subprocess.run([BERTH, "exec", *words], capture_output=True, timeout=60, **more)
id = arn.split("/")[-1]
done = berth(id[:8], "-c", "web", "--", "sh", "-c", "echo $0; echo \"$1\" >&2; exit 7", "a b", "it's", stdin=subprocess.DEVNULL)
assert (done.returncode, done.stdout, done.stderr) == (7, b"a b\n", b"it's\n"), done
done = berth(arn, "-c", "other", "--", "id", "-u", stdin=subprocess.DEVNULL)
assert (done.returncode, done.stdout) == (0, b"1000\n"), done
# Bytes of any kind go in and come out, and the end of input with them.
some = os.urandom(3_000_000)
done = berth(id, "-c", "web", "--", "cat", input=some)
assert (done.returncode, done.stdout == some) == (0, True), (done.returncode, len(done.stdout), done.stderr)
done = berth(id, "-c", "web", "--", "nope", stdin=subprocess.DEVNULL)
assert done.returncode == 127 and b"executable file not found" in done.stderr, done
done = berth(id, "-c", "web", "--", "sh", "-c", "kill -9 $$", stdin=subprocess.DEVNULL)
assert done.returncode == 137, done
done = berth(id, stdin=subprocess.DEVNULL)
assert done.returncode == 125 and b"container name must be specified" in done.stderr, done
done = berth(id, "-c", "no", stdin=subprocess.DEVNULL)
assert done.returncode == 125 and b"not found in the task" in done.stderr, done
done = berth("0" * 32, stdin=subprocess.DEVNULL)
assert done.returncode == 125 and b"there is no task" in done.stderr, done

# With a terminal, which is as it was afterwards.
one = Terminal(["sh", "-c", f"{BERTH} exec {id} -c web; echo left $?; stty -a"], 25, 90)
one.expect(r"[#$] ")
one.type("stty size\r")
one.expect(r"25 90\r")
one.resize(33, 99)
one.type("sleep 0.3; stty size\r")
one.expect(r"33 99\r")
one.type("exit 4\r")
one.expect("left 4")
one.expect(r"[^-]icanon")
one.wait()

# A service's name is enough.
ecs.create_service(serviceName="front", taskDefinition="pair", desiredCount=1, enableExecuteCommand=True)
front = until("it runs", lambda: ecs.list_tasks(serviceName="front")["taskArns"])[0]
exec_ready(front)
done = berth("front", "-c", "web", "--", "sh", "-c", "echo $COLOUR", stdin=subprocess.DEVNULL)
assert done.stdout == b"blue\n", done
# A program that is hung up ends; one that will not is killed.
held = subprocess.Popen([BERTH, "exec", id, "-c", "web", "--", "sh", "-c", "trap '' HUP; echo on; sleep 7654323; sleep 7654324"],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert held.stdout.readline() == b"on\n"
held.kill()
until("it is killed", lambda: not alive(["sleep", "7654323"]) and not alive(["sleep", "7654324"]))
# The end of a container is the end of what was started in it.
held = subprocess.Popen([BERTH, "exec", id, "-c", "web", "--", "sleep", "7654325"], stdin=subprocess.PIPE)
sleeper = until("it sleeps", lambda: alive(["sleep", "7654325"]))[0]
# It is counted and limited with the container, on every kind of cgroups.
def cgroups(pid): return open(f"/proc/{pid}/cgroup").read()
folder = os.environ["BERTH_DATA_DIR"] + f"/node/tasks/{id}/containers/"
firsts = [open(folder + name + "/pid").read().strip() for name in os.listdir(folder)]
assert [cgroups(pid) for pid in firsts].count(cgroups(sleeper)) == 1, (cgroups(sleeper), firsts)
ecs.stop_task(task=arn)
assert held.wait(60) == 137, held
agents = [agent for c in stopped(arn)["containers"] for agent in c["managedAgents"]]
assert [agent["lastStatus"] for agent in agents] == ["STOPPED", "STOPPED"], agents
"#,
    );
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}

#[test]
fn who_may_not_is_refused() {
    let machine = Machine::up();
    load(&machine);
    script(
        &machine,
        r#"
sys.path.insert(0, os.path.dirname(os.environ["PLUGIN"]))
import plugin
register("shell", [shell()])
arn, without = run("shell", enableExecuteCommand=True)[0], run("shell")[0]
exec_ready(arn)
running(without)
assert "managedAgents" not in task(without)["containers"][0]
def ask(client=ecs, **input):
    return client.execute_command(**{"task": arn, "command": "/bin/sh", "interactive": True, **input})
not_enabled = refused("InvalidParameterException", ask, task=without)
assert not_enabled.startswith("The execute command failed because execute command was not enabled when the task was run"), not_enabled
assert "was not found in the task" in refused("InvalidParameterException", ask, container="no")
refused("InvalidParameterException", ask, task="0" * 32)
refused("InvalidParameterException", ask, command="sh -c 'x")
refused("InvalidParameterException", ask, command="  ")
refused("ClusterNotFoundException", ask, cluster="no")
other = boto3.client("ecs", aws_access_key_id="111122223333", aws_secret_access_key="x")
other.create_cluster(clusterName="default")
refused("InvalidParameterException", ask, client=other)
refused("InvalidParameterException", ask, client=other, task=arn.split("/")[-1])

answer = ask()
session = answer["session"]
assert (answer["containerName"], answer["interactive"], answer["taskArn"]) == ("web", True, arn), answer
assert session["streamUrl"] == f"ws://127.0.0.1:4566/v1/data-channel/{session['sessionId']}?role=publish_subscribe", session
assert re.fullmatch(r"[0-9a-f]{64}", session["tokenValue"])
def first(session):
    web = plugin.Plugin(session).web
    try:
        while True:
            for frame in web.frames(): return plugin.decode(frame)[0]
            web.fill()
    except EOFError: return "refused"
assert first({**session, "tokenValue": "0" * 64}) == "refused"
assert first({**session, "tokenValue": ask()["session"]["tokenValue"]}) == "refused", "another session's token"
assert first({**session, "streamUrl": session["streamUrl"].replace(session["sessionId"], "ecs-execute-command-x")}) == "refused"
assert first(session) == "output_stream_data", "what was wrong before spoiled nothing"
assert first(session) == "refused", "a token is good once"
# Nonsense ends a connection, and nothing else.
for nonsense in [b"", b"{}", b"\xff\xfe", b"[]"]:
    web = plugin.WebSocket(session["streamUrl"])
    web.send(1 if nonsense != b"\xff\xfe" else 2, nonsense)
    try:
        while True: web.fill()
    except (EOFError, ConnectionError): pass
ecs.stop_task(task=arn)
stopped(arn)
assert refused("InvalidParameterException", ask) == not_enabled
"#,
    );
}

#[test]
fn a_session_ends_with_its_agent_and_the_container_goes_on() {
    let mut machine = Machine::up();
    let other = machine.dir().join("other");
    let start = |machine: &Machine| -> Command {
        let mut agent =
            machine.berth(&["agent", "--server", "http://127.0.0.1:4566", "--cluster", "far", "--data-dir"]);
        agent.arg(&other);
        agent
    };
    machine.python("ecs.create_cluster(clusterName='far')");
    let mut agent = start(&machine).spawn().unwrap();
    let path = script(&machine, "print(load_shell_image())");
    machine
        .python("until('it has joined', lambda: ecs.list_container_instances(cluster='far')['containerInstanceArns'])");
    machine.person(&format!("image load --data-dir {} {path}", other.display())).unwrap();
    let arn = script(
        &machine,
        r#"
register("shell", [shell()])
arn = run("shell", cluster="far", enableExecuteCommand=True)[0]
exec_ready(arn, "far")
print(arn)
"#,
    );
    let killed = script(
        &machine,
        &format!(
            r#"
install_plugin()
arn, agent = "{arn}", {}
before = ecs.describe_tasks(cluster="far", tasks=[arn])["tasks"][0]["containers"][0]["runtimeId"]
one = Terminal(cli(arn, cluster="far"))
one.expect(r"sh-\S+[#$] ")
one.type("sleep 7654326\n")
piped = subprocess.Popen([BERTH, "exec", arn, "--", "sleep", "7654327"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
until("they sleep", lambda: alive(["sleep", "7654326"]) and alive(["sleep", "7654327"]))
os.kill(agent, signal.SIGKILL)
one.expect(r"SessionId: \S+ : The connection to the container instance was lost")
one.wait()
assert b"was lost" in piped.communicate()[1] and piped.returncode == 1, piped
until("the terminal is hung up", lambda: not alive(["sleep", "7654326"]))
until("it is known to be gone", lambda: not ecs.describe_container_instances(cluster="far",
    containerInstances=ecs.list_container_instances(cluster="far")["containerInstanceArns"])["containerInstances"][0]["agentConnected"])
assert refused("TargetNotConnectedException", ecs.execute_command, cluster="far", task=arn, command="sh", interactive=True) \
    == "The execute command failed due to an internal error. Try again later."
print(before)
"#,
            agent.id()
        ),
    );
    agent.wait().unwrap();
    let again = start(&machine);
    machine.spawn(again);
    script(
        &machine,
        &format!(
            r#"
arn, before = "{arn}", "{killed}"
def answers():
    done = subprocess.run([BERTH, "exec", arn, "--", "sh", "-c", "echo $COLOUR"], capture_output=True, stdin=subprocess.DEVNULL)
    return done.stdout == b"blue\n"
until("the next agent serves", answers)
t = ecs.describe_tasks(cluster="far", tasks=[arn])["tasks"][0]
assert (t["lastStatus"], t["containers"][0]["runtimeId"]) == ("RUNNING", before), t
until("what nobody waits for is ended", lambda: not alive(["sleep", "7654327"]))
ecs.stop_task(cluster="far", task=arn)
until("it stops", lambda: ecs.describe_tasks(cluster="far", tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED")
"#
        ),
    );
}
