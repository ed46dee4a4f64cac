//! Where the two websockets are: asked once for both, kept for half a day.

use std::time::Instant;

use agent_api::query::websocket_url;
use tokio::sync::Mutex;

use crate::limits::ENDPOINTS_KEPT;
use crate::seams::{ControlPlane, Endpoints};
use crate::socket::ConnectError;

#[derive(Default)]
pub struct EndpointCache {
    /// Locked while it is asked, so that two who want to know ask once.
    known: Mutex<Option<Known>>,
}

struct Known {
    endpoints: Endpoints,
    /// `None` when it is to be asked again.
    since: Option<Instant>,
}

impl EndpointCache {
    /// A stale answer is better than none, so it is used when a fresh one cannot be had.
    pub async fn get(&self, control: &dyn ControlPlane, container_instance_arn: &str) -> Option<Endpoints> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.since.is_some_and(|at| at.elapsed() < ENDPOINTS_KEPT))
        {
            return Some(known.endpoints.clone());
        }
        match control.discover(container_instance_arn).await {
            Ok(endpoints) => {
                // Half an answer is used, and asked for again.
                let since = (endpoints.acs.is_some() && endpoints.tcs.is_some()).then(Instant::now);
                *known = Some(Known { endpoints: endpoints.clone(), since });
                Some(endpoints)
            }
            Err(error) => {
                tracing::warn!(%error, "DiscoverPollEndpoint failed");
                known.as_ref().map(|known| known.endpoints.clone())
            }
        }
    }

    /// The official agent goes on trying the same address for half a day; a control plane that moved is found
    /// sooner by asking.
    async fn doubt(&self) {
        if let Some(known) = self.known.lock().await.as_mut() {
            known.since = None;
        }
    }

    /// Asks again next time when nobody was there.
    pub async fn doubt_after(&self, error: &ConnectError) {
        if matches!(error, ConnectError::Connect { .. } | ConnectError::Timeout) {
            self.doubt().await;
        }
    }
}

/// A space in the query is `%20`: the plus that the official agent sends is one thing in a form and another in a
/// signature, and servers disagree about it.
pub fn socket_url(endpoint: &str, query: &str) -> Option<String> {
    websocket_url(endpoint, &query.replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use api_ecs::{
        ContainerInstance, GetTaskProtectionRequest, GetTaskProtectionResponse, RegisterContainerInstanceRequest,
        SubmitTaskStateChangeRequest, UpdateTaskProtectionRequest, UpdateTaskProtectionResponse,
    };
    use async_trait::async_trait;

    use super::*;
    use crate::seams::ApiError;

    /// Answers from a list, last entry first, and then no more.
    struct Answers(Mutex<Vec<Endpoints>>);

    #[async_trait]
    impl ControlPlane for Answers {
        async fn register(&self, _: RegisterContainerInstanceRequest) -> Result<ContainerInstance, ApiError> {
            Err(ApiError::Unavailable("not asked".into()))
        }
        async fn discover(&self, _: &str) -> Result<Endpoints, ApiError> {
            self.0.lock().unwrap().pop().ok_or(ApiError::Unavailable("gone".into()))
        }
        async fn submit(&self, _: SubmitTaskStateChangeRequest) -> Result<(), ApiError> {
            Ok(())
        }
        async fn protection(&self, _: GetTaskProtectionRequest) -> Result<GetTaskProtectionResponse, ApiError> {
            Err(ApiError::Unavailable("not asked".into()))
        }
        async fn protect(&self, _: UpdateTaskProtectionRequest) -> Result<UpdateTaskProtectionResponse, ApiError> {
            Err(ApiError::Unavailable("not asked".into()))
        }
        fn sign(&self, _: &str, _: &str) -> Vec<(String, String)> {
            Vec::new()
        }
    }

    fn endpoints(acs: &str, tcs: Option<&str>) -> Endpoints {
        Endpoints { acs: Some(acs.into()), tcs: tcs.map(Into::into) }
    }

    #[tokio::test]
    async fn an_answer_is_kept_until_it_is_doubted() {
        let control = Answers(Mutex::new(vec![endpoints("new", Some("t")), endpoints("old", Some("t"))]));
        let cache = EndpointCache::default();
        let acs = async || cache.get(&control, "i").await.unwrap().acs.unwrap();
        assert_eq!((acs().await, acs().await), ("old".into(), "old".into()));
        cache.doubt().await;
        assert_eq!((acs().await, acs().await), ("new".into(), "new".into()));
        cache.doubt().await;
        assert_eq!(acs().await, "new", "nobody answers, so the old answer serves");
    }

    #[tokio::test]
    async fn half_an_answer_is_asked_for_again() {
        let control = Answers(Mutex::new(vec![endpoints("a", Some("t")), endpoints("a", None)]));
        let cache = EndpointCache::default();
        assert_eq!(cache.get(&control, "i").await.unwrap().tcs, None);
        assert_eq!(cache.get(&control, "i").await.unwrap().tcs, Some("t".into()));
        assert_eq!(EndpointCache::default().get(&control, "i").await, None);
    }

    #[test]
    fn spaces_are_the_same_in_a_url_and_in_its_signature() {
        assert_eq!(socket_url("http://h/acs", "v=a+b").unwrap(), "ws://h/acs/ws?v=a%20b");
    }
}
