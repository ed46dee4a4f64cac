//! `berth events`

use api_ecs::{Service, ServiceEvent};
use stdx::Timestamp;

use super::berth::{complains, prints};
use super::fake::Fake;
use super::world::{World, some};

#[tokio::test]
async fn events_are_told_from_the_beginning() {
    let event = |seconds: i64, message: &str| ServiceEvent {
        created_at: Some(Timestamp::from_millis(seconds * 1000)),
        message: some(message),
        ..Default::default()
    };
    // As AWS answers them: the newest first.
    let events =
        Some(vec![event(1_700_000_060, "has reached a steady state."), event(1_700_000_000, "has started 1 tasks.")]);
    let service = Service { service_name: some("web"), events, ..Default::default() };
    let url = Fake { tasks: Vec::new(), services: vec![service] }.serve().await;
    let expected = "2023-11-14T22:13:20Z  has started 1 tasks.\n2023-11-14T22:14:20Z  has reached a steady state.\n";
    assert_eq!(prints(&url, "events web").await, expected);
    assert_eq!(prints(&url, "events arn:aws:ecs:eu-west-1:000000000000:service/blue/web").await, expected);
}

#[tokio::test]
async fn no_events_and_no_service() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    world.service("site", "web", 0).await;
    assert_eq!(
        prints(&world.url, "events site").await,
        "Nothing has happened to service site yet. `berth explain site` shows how it is.\n"
    );
    let complaint = complains(&world.url, "events nothing").await;
    assert_eq!(complaint, "berth: there is no service nothing in cluster default. It has site.\n");
}
