//! What an agent and a control plane say to each other.

use std::fmt::Debug;
use std::time::Duration;

use agent::plan::{Identity, TaskPlan};
use agent_api::close::UpgradeRefusal;
use agent_api::query::{AcsQuery, TcsQuery, websocket_url};
use agent_api::session::{Event, Session};
use agent_api::{Decoded, FromAgent, ToAgent, tcs};
use stdx::Timestamp;

use crate::text;

/// Both directions of ACS; a session hears what the agent says, and a node plans the tasks it is sent.
pub(crate) fn acs_frames(bytes: &[u8]) {
    let text = text(bytes);
    let mut session = Session::new("cluster".into(), "instance".into(), 1);
    let now = Timestamp::from_millis(1_000_000);
    session.step(Event::Connected { connection: "c".into(), send_credentials: true }, now);
    if let Ok(Decoded::Known(message)) = FromAgent::decode(text) {
        survives(&message, &FromAgent::decode(&message.encode()));
        session.step(Event::Received(message), now);
    }
    if let Ok(Decoded::Known(message)) = ToAgent::decode(text) {
        survives(&message, &ToAgent::decode(&message.encode()));
        if let ToAgent::Payload(payload) = message {
            for task in payload.tasks {
                session.step(Event::Deliver(vec![task.clone()]), now);
                plan(task);
            }
        }
    }
    let _ = UpgradeRefusal::decode(text);
}

fn plan(task: agent_api::payload::Task) {
    let mut fresh = 0;
    let identity = Identity::new(&task, || {
        fresh += 1;
        format!("{fresh:032x}")
    });
    match TaskPlan::new(task, identity, Duration::from_secs(30)) {
        Ok((plan, _)) => assert!(!plan.arn().is_empty()),
        Err(error) => assert!(!error.reason().is_empty()),
    }
}

pub(crate) fn tcs_frames(bytes: &[u8]) {
    let frame = tcs::Frame::decode(text(bytes));
    if let Ok(Decoded::Known(message)) = tcs::FromAgent::decode(frame.envelope) {
        // Not what it said: serde_json reads a fraction to within its last digit.
        assert!(matches!(tcs::FromAgent::decode(&message.encode()), Ok(Decoded::Known(_))), "{message:?}");
        let _ = tcs::ToAgent::acknowledge(&message).encode();
    }
    if let Ok(Decoded::Known(message)) = tcs::ToAgent::decode(text(bytes)) {
        survives(&message, &tcs::ToAgent::decode(&message.encode()));
    }
}

/// As text: a number may be one that nothing is equal to.
fn survives<M: Debug, E: Debug>(message: &M, read: &Result<Decoded<M>, E>) {
    let Ok(Decoded::Known(read)) = read else { panic!("{message:?} is not read back but {read:?}") };
    assert_eq!(format!("{read:?}"), format!("{message:?}"));
}

pub(crate) fn upgrade_query(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(query) = AcsQuery::parse(text) {
        assert_eq!(AcsQuery::parse(&query.encode()), Ok(query));
    }
    if let Ok(query) = TcsQuery::parse(text) {
        assert_eq!(TcsQuery::parse(&query.encode()), Ok(query));
    }
    if let Some(url) = websocket_url(text, "q") {
        assert!(url.starts_with("ws") && url.ends_with("ws?q"), "{url}");
    }
}
