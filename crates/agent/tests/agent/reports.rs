//! Reports through bad times: in order, and until they are answered.

use agent::seams::ApiError;
use serde_json::json;

use crate::payloads::{task, task_of, web, with};
use crate::rig::Rig;

#[tokio::test]
async fn reports_wait_for_the_control_plane_in_order() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    rig.control.lock().down = true;
    let side = with(web(), json!({"name": "side", "essential": false, "portMappings": []}));
    rig.control.deliver(vec![task_of("t1", json!([web(), side]))]);
    rig.machine.called("start t1 web 0").await;
    rig.machine.called("start t1 side 0").await;
    rig.control.until("two tries", |state| (state.attempts >= 2).then_some(())).await;
    rig.machine.exit("t1", "web", 3);
    rig.machine.called("stop t1 side").await;
    rig.machine.called("release t1").await;
    assert_eq!(rig.control.report_count("t1"), 0);
    rig.control.change(|state| state.down = false);
    let reports = rig.control.reported("t1", 2).await;
    assert!(reports[0].starts_with("RUNNING ["), "{reports:?}");
    assert!(reports[1].starts_with("STOPPED (Essential container in task exited) ["), "{reports:?}");
    assert!(reports[1].contains("web STOPPED 3") && reports[1].contains("side STOPPED 143"), "{reports:?}");
}

#[tokio::test]
async fn one_report_may_be_dropped_and_the_next_goes_on() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let invalid = ApiError::InvalidParameter("The referenced task was not found.".to_owned());
    rig.control.lock().submit_errors.push_back(invalid);
    rig.control.deliver(vec![task("t1")]);
    rig.machine.called("start t1 web 0").await;
    rig.control.until("the dropped report", |state| (state.attempts == 1).then_some(())).await;
    rig.machine.exit("t1", "web", 0);
    assert!(rig.control.reported("t1", 1).await[0].starts_with("STOPPED"));
    assert_eq!(rig.control.lock().attempts, 2);
}

#[tokio::test]
async fn a_refusal_holds_up_only_its_own_task() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let refused = ApiError::Refused { code: "ClientException".to_owned(), message: "later".to_owned() };
    rig.control.lock().submit_errors.push_back(refused);
    rig.control.deliver(vec![task("t1")]);
    rig.control.until("the refused report", |state| (state.attempts == 1).then_some(())).await;
    rig.control.deliver(vec![task("t2")]);
    rig.control.reported("t2", 1).await;
    assert_eq!(rig.control.report_count("t1"), 0);
    assert!(rig.control.reported("t1", 1).await[0].starts_with("RUNNING"));
}
