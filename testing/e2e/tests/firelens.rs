//! FireLens: what a container prints reaches its task's log router; and what is left on the machine can always be read.

use kit::Machine;

#[test]
fn lines_reach_the_log_router_with_their_ecs_metadata() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    let berth = format!("BERTH = {:?}\n", kit::berth().display().to_string());
    machine.python(&(berth
        + r#"
register("routed", [
    hello(name="router", command=["forward"], portMappings=None, firelensConfiguration={"type": "fluentbit"}),
    hello(name="app", command=["lines", "3"], portMappings=None, essential=False, logConfiguration={
        "logDriver": "awsfirelens", "options": {"Name": "stdout", "log-driver-buffer-limit": "10000"}}),
])
arn = run("routed")[0]
until("the app has ended", lambda: [c for c in task(arn)["containers"] if c["name"] == "app" and c["lastStatus"] == "STOPPED"])
import json, subprocess
id = arn.rsplit("/", 1)[1]
berth = lambda *words: subprocess.run([BERTH, "logs", *words], capture_output=True, text=True, timeout=60)
def heard():
    text = berth(id).stdout
    found = [line[line.index("{"):] for line in text.splitlines() if '"tag"' in line]
    return len(found) == 3 and found
for number, line in enumerate(until("the router has heard them", heard)):
    message = json.loads(line)
    record = message["record"]
    assert message["tag"] == f"app-firelens-{id}", message
    assert record["log"].startswith(f"line {number} "), message
    assert record["source"] == "stdout" and record["container_name"].startswith("/ecs-routed-1-app-"), message
    assert (record["ecs_cluster"], record["ecs_task_arn"], record["ecs_task_definition"]) == ("default", arn, "routed:1"), message
    assert message["time"] > 1.7e9, message
# The node keeps what the app has printed as well, whatever its driver.
assert "/app line 2 " in berth("--node", id).stdout, berth("--node", id)
ecs.stop_task(task=arn)
t = stopped(arn)
assert t["stopCode"] == "UserInitiated", t

# So it does with every other driver.
register("mute", [hello(command=["lines", "5"], portMappings=None, logConfiguration={"logDriver": "json-file"})])
arn = run("mute")[0]
stopped(arn)
lines = berth("-n", "2", arn.rsplit("/", 1)[1])
assert [line.split()[1] for line in lines.stdout.splitlines()] == ["3", "4"], lines
"#));
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}
