//! A disk that is nearly full: its instance says so, and gets no new tasks until there is room.

use kit::Machine;

#[test]
fn a_full_disk_takes_no_tasks_and_says_so() {
    let mut machine = Machine::new();
    // Every disk is fuller than this.
    machine.start(&["--disk-pressure", "1"]);
    machine.python(
        r#"
instance = ecs.list_container_instances()["containerInstanceArns"][0]
def pressed():
    attributes = ecs.describe_container_instances(containerInstances=[instance])["containerInstances"][0]["attributes"]
    return "berth.disk-pressure" in [a["name"] for a in attributes]
until("the instance says that its disk is full", pressed)
register()
failures = ecs.run_task(taskDefinition="hello")["failures"]
assert [(f["arn"], f["reason"]) for f in failures] == [(instance, "ATTRIBUTE")], failures
"#,
    );
    let explained = machine.person("explain hello").unwrap();
    assert!(explained.contains("its disk is nearly full"), "{explained}");
    assert!(machine.stop().success());

    machine.start(&["--demo"]);
    machine.python(
        r#"
def runs():
    answer = ecs.run_task(taskDefinition="hello")
    return answer["tasks"] and answer["tasks"][0]["taskArn"]
running(until("there is room", runs))
"#,
    );
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}
