//! How connections end, and how soon the next begins.

use std::time::Duration;

use agent_api::close::UpgradeRefusal;

use crate::payloads::task;
use crate::rig::Rig;
use crate::websockets::Outgoing;

/// The official agent's first wait.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// Ends ACS and says how long it took until the next connection.
async fn reconnect(rig: &Rig, end: Outgoing) -> Duration {
    let count = rig.control.lock().acs.len();
    let ended = tokio::time::Instant::now();
    rig.control.end_acs(end);
    rig.control.acs_connections(count + 1).await;
    let opened = rig.control.lock().acs[count].0;
    opened.duration_since(ended)
}

#[tokio::test]
async fn ordinary_ends_are_followed_at_once() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    let ends: [fn() -> Outgoing; 4] =
        [|| Outgoing::Close(1000), || Outgoing::Close(1001), || Outgoing::Close(1011), || Outgoing::Break];
    for end in ends {
        // On a busy machine one of them may be slow; a backoff never is as quick.
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            quickest = quickest.min(reconnect(&rig, end()).await);
            if quickest < FIRST_BACKOFF {
                break;
            }
        }
        assert!(quickest < FIRST_BACKOFF, "{quickest:?}");
    }
    let state = rig.control.lock();
    let wanted: Vec<bool> = state.acs.iter().map(|(_, query)| query.send_credentials).collect();
    assert!(wanted[0] && wanted[1..].iter().all(|wanted| !wanted), "keys are asked for once: {wanted:?}");
    assert_eq!(state.discoveries, 1);
}

#[tokio::test]
async fn other_ends_are_followed_by_a_wait() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let first = reconnect(&rig, Outgoing::Close(1008)).await;
    assert!(first >= FIRST_BACKOFF, "{first:?}");
    let second = reconnect(&rig, Outgoing::Close(4000)).await;
    assert!(second >= FIRST_BACKOFF.mul_f64(1.5), "{second:?}");
    for _ in 0..3 {
        reconnect(&rig, Outgoing::Close(4000)).await;
    }
    // As when it died: what was before it came back is forgotten. The next wait would else be longer than a second.
    reconnect(&rig, Outgoing::Break).await;
    let again = reconnect(&rig, Outgoing::Close(4000)).await;
    assert!(again >= FIRST_BACKOFF && again < FIRST_BACKOFF * 4, "{again:?}");
    agent.connected().await;
}

#[tokio::test]
async fn a_deregistered_instance_stays_away_and_others_try_again() {
    let (inactive, invalid) = (Rig::new().await, Rig::new().await);
    inactive.control.lock().refusal = Some(UpgradeRefusal::InactiveInstance("deregistered".to_owned()));
    invalid.control.lock().refusal = Some(UpgradeRefusal::InvalidInstance("not yet".to_owned()));
    let _first = inactive.try_start(inactive.config()).await.unwrap();
    inactive.control.until("the refusal", |state| (state.acs_refused == 1).then_some(())).await;
    let second = invalid.try_start(invalid.config()).await.unwrap();
    invalid.control.until("three refusals", |state| (state.acs_refused == 3).then_some(())).await;
    assert_eq!(inactive.control.lock().acs_refused, 1);
    invalid.control.lock().refusal = None;
    second.connected().await;
}

#[tokio::test]
async fn a_wrong_secret_opens_nothing() {
    let rig = Rig::signing_with("another").await;
    let _agent = rig.try_start(rig.config()).await.unwrap();
    rig.control.until("two refusals", |state| (state.acs_refused == 2).then_some(())).await;
    let state = rig.control.lock();
    assert_eq!((state.acs.len(), state.tcs_opened), (0, 0));
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_with_the_next_connection() {
    let rig = Rig::new().await;
    let _agent = rig.start().await;
    // The connection breaks before the payload is out.
    rig.control.end_acs(Outgoing::Break);
    rig.control.deliver(vec![task("t1")]);
    rig.control.acs_connections(2).await;
    rig.control.reported("t1", 1).await;
    assert_eq!(rig.machine.count("start t1 web 0"), 1);
}

#[tokio::test]
async fn a_message_beyond_every_limit_ends_the_connection_and_nothing_else() {
    const TOO_MANY_BYTES: usize = 9 << 20;
    let rig = Rig::new().await;
    let agent = rig.start().await;
    rig.control.send_text("x".repeat(TOO_MANY_BYTES));
    rig.control.acs_connections(2).await;
    agent.connected().await;
    // One that is as large as any may be is read, and skipped for what it says.
    rig.control.send_text("x".repeat(TOO_MANY_BYTES - (2 << 20)));
    rig.control.deliver(vec![task("t1")]);
    rig.control.reported("t1", 1).await;
    assert_eq!(rig.control.lock().acs.len(), 2);
}
