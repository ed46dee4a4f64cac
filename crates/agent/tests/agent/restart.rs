//! An agent goes, its containers stay or do not, and the next agent tells the control plane.

use std::time::Instant;

use agent::AgentHandle;
use agent::seams::ApiError;
use serde_json::Value;

use crate::control_plane::{Moment, State};
use crate::payloads::{payload, stop, task};
use crate::rig::{DEADLINE, Rig};

/// A rig whose first agent runs `t1`, reported, and is gone.
async fn left_running() -> Rig {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    rig.control.deliver(vec![task("t1")]);
    rig.control.reported("t1", 1).await;
    recorded(&rig, "t1", is("Running")).await;
    leave(&rig, agent).await;
    rig
}

/// The old sockets are closed when this returns, so that the next connection is the next agent's.
async fn leave(rig: &Rig, agent: AgentHandle) {
    agent.detach();
    let closed = |state: &State| (state.acs_closed == state.acs.len()).then_some(());
    rig.control.until("the end of the old sockets", closed).await;
}

/// Waits for a task's record to say something; it is written beside the reports, not before them.
async fn recorded(rig: &Rig, id: &str, said: impl Fn(&Value) -> bool) {
    let path = rig.folder().join(format!("state/tasks/{id}.state"));
    let deadline = Instant::now() + DEADLINE;
    loop {
        let record = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut record: Value = record.unwrap_or_default();
        record["engine"] = serde_json::from_str(record["engine"].as_str().unwrap_or("null")).unwrap();
        if said(&record) {
            return;
        }
        assert!(Instant::now() < deadline, "{record:#}");
        tokio::task::yield_now().await;
    }
}

fn is(status: &str) -> impl Fn(&Value) -> bool {
    move |record| record["engine"]["task"]["status"] == status
}

fn after_second_registration(rig: &Rig) -> Vec<Moment> {
    let history = rig.control.lock().history.clone();
    let at = history.iter().rposition(|moment| *moment == Moment::Registered).unwrap();
    history[at + 1..].to_vec()
}

fn reported(id: &str, status: &str) -> Moment {
    Moment::Reported(id.to_owned(), status.to_owned())
}

#[tokio::test]
async fn a_container_that_runs_on_is_told_before_acs_opens() {
    let rig = left_running().await;
    rig.control.lock().slow = true;
    let _agent = rig.start().await;
    assert_eq!(after_second_registration(&rig), [reported("t1", "RUNNING"), Moment::AcsOpened]);
    assert_eq!(rig.machine.count("start t1 web 0"), 1, "it is not started again");
    let queries: Vec<bool> = rig.control.lock().acs.iter().map(|(_, query)| query.send_credentials).collect();
    assert_eq!(queries, [true, true], "keys do not survive an agent");
    rig.machine.exit("t1", "web", 4);
    let reports = rig.control.reported("t1", 3).await;
    assert!(reports[1].starts_with("RUNNING [web RUNNING 80->32768/tcp]"), "{reports:?}");
    assert!(reports[2].starts_with("STOPPED (Essential container in task exited) [web STOPPED 4"), "{reports:?}");
}

#[tokio::test]
async fn an_exit_while_nobody_looked_keeps_its_code() {
    let rig = left_running().await;
    rig.machine.exit("t1", "web", 7);
    let _agent = rig.start().await;
    assert_eq!(after_second_registration(&rig), [reported("t1", "STOPPED"), Moment::AcsOpened]);
    let report = rig.control.reported("t1", 2).await.pop().unwrap();
    assert!(report.starts_with("STOPPED (Essential container in task exited) [web STOPPED 7"), "{report}");
    rig.machine.called("release t1").await;
}

#[tokio::test]
async fn a_container_that_is_gone_is_told_so() {
    let rig = left_running().await;
    rig.machine.reboot();
    let _agent = rig.start().await;
    let report = rig.control.reported("t1", 2).await.pop().unwrap();
    assert!(report.contains("web STOPPED CannotInspectContainerError: the container is gone"), "{report}");
    assert_eq!(after_second_registration(&rig)[0], reported("t1", "STOPPED"));
}

#[tokio::test]
async fn an_end_that_was_never_answered_is_told_by_the_next_agent() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    rig.control.deliver(vec![task("t1")]);
    rig.control.reported("t1", 1).await;
    rig.control.lock().down = true;
    rig.machine.exit("t1", "web", 9);
    rig.machine.called("release t1").await;
    recorded(&rig, "t1", is("Stopped")).await;
    leave(&rig, agent).await;
    // What the machine knows is gone as well; only the record is left.
    rig.machine.reboot();
    rig.control.change(|state| state.down = false);
    let _agent = rig.start().await;
    let report = rig.control.reported("t1", 2).await.pop().unwrap();
    assert!(report.starts_with("STOPPED (Essential container in task exited) [web STOPPED 9"), "{report}");
    // The first agent may have died in the middle of it.
    rig.machine.called_times("release t1", 2).await;
}

#[tokio::test]
async fn reports_of_an_agent_that_is_gone_do_not_come_after_it() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    rig.control.lock().down = true;
    rig.control.deliver(vec![task("t1")]);
    rig.control.until("a try", |state| (state.attempts >= 1).then_some(())).await;
    recorded(&rig, "t1", is("Running")).await;
    leave(&rig, agent).await;
    rig.machine.exit("t1", "web", 2);
    rig.control.change(|state| state.down = false);
    let _agent = rig.start().await;
    let reports = rig.control.reported("t1", 1).await;
    assert!(reports[0].starts_with("STOPPED (Essential container in task exited) [web STOPPED 2"), "{reports:?}");
    // The wait after a refusal is longer than the old agent's waits.
    let refused = ApiError::Refused { code: "ClientException".to_owned(), message: "later".to_owned() };
    rig.control.lock().submit_errors.push_back(refused);
    rig.control.deliver(vec![task("t2")]);
    rig.control.reported("t2", 1).await;
    assert_eq!(rig.control.report_count("t1"), 1);
}

#[tokio::test]
async fn a_told_end_is_told_again_only_when_asked() {
    let rig = left_running().await;
    let agent = rig.start().await;
    rig.machine.exit("t1", "web", 5);
    rig.control.reported("t1", 3).await;
    recorded(&rig, "t1", |record| record["told"] == true).await;
    leave(&rig, agent).await;
    let _agent = rig.start().await;
    assert_eq!(after_second_registration(&rig), [Moment::AcsOpened]);
    assert_eq!(rig.machine.count("recover t1, which has ended"), 1, "it is kept");
    assert_eq!(rig.machine.count("release t1"), 1, "what was given back is not given back again");
    rig.control.send(&payload("p9", vec![stop("t1")]));
    let report = rig.control.reported("t1", 4).await.pop().unwrap();
    assert!(report.contains("web STOPPED 5"), "{report}");
    rig.control.acked("p9").await;
}

#[tokio::test]
async fn a_record_that_cannot_be_used_any_more_ends_its_task() {
    let rig = left_running().await;
    let path = rig.folder().join("state/tasks/t1.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"desiredStatus\"", "\"networkMode\":\"awsvpc\",\"desiredStatus\"")).unwrap();
    let _agent = rig.start().await;
    let report = rig.control.reported("t1", 2).await.pop().unwrap();
    assert!(report.starts_with("STOPPED (UnrecogniedTaskError: Error loading task: network mode awsvpc"), "{report}");
}

/// The state was not flushed, so a loss of power may take it: then nobody knows whether the container has run.
#[tokio::test]
async fn no_container_runs_again_after_a_loss_of_power() {
    let rig = left_running().await;
    std::fs::remove_file(rig.folder().join("state/tasks/t1.state")).unwrap();
    let path = rig.folder().join("state/tasks/t1.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["boot"] = "an earlier one".into();
    std::fs::write(&path, record.to_string()).unwrap();
    rig.machine.reboot();
    let agent = rig.start().await;
    let report = rig.control.reported("t1", 2).await.pop().unwrap();
    assert!(report.contains("the machine was restarted"), "{report}");
    recorded(&rig, "t1", |record| record["told"] == true).await;
    leave(&rig, agent).await;
    let _agent = rig.start().await;
    assert_eq!(after_second_registration(&rig), [Moment::AcsOpened]);
    assert_eq!(rig.machine.count("start t1 web 0"), 1, "it is not started again");
}
