//! The edge between the lifecycle hooks of deployments and whoever runs functions. Nobody does yet: services refuse such hooks.
//!
//! Source: Amazon ECS Developer Guide, "Lambda hooks for Amazon ECS service deployments", for the event and its answers.

use std::time::Duration;

use async_trait::async_trait;
use model::lifecycle::Weight;
use model::{Service, ServiceRevisionArn};
use reconcilers::service::blue_green::hooks::{HookAnswer, HookCall, answer, calls};
use serde_json::{Map, Value, json};
use state::{Changes, CommitError, Ledger, Record, Snapshot};
use stdx::Timestamp;

/// Whoever runs functions.
#[async_trait]
pub trait Functions: Send + Sync {
    /// What the function answers to the event; nothing where it fails, or cannot be called.
    async fn invoke(&self, call: &HookCall, event: Value) -> Option<Vec<u8>>;
}

/// Makes the calls that are due, and writes down the answers. A call whose answer is lost is made again: as on AWS, a function
/// may be asked more than once.
pub async fn ask(ledger: &dyn Ledger, functions: &dyn Functions, now: Timestamp) -> Result<(), CommitError> {
    let due: Vec<(String, HookCall)> = ledger
        .snapshot()
        .services
        .iter()
        .flat_map(|service| calls(service, now).into_iter().map(|call| (service.name(), call)).collect::<Vec<_>>())
        .collect();
    for (service, call) in due {
        let said = functions.invoke(&call, event(&call)).await;
        let said = said.map_or(HookAnswer::Failed, |bytes| read(&bytes));
        let decision = move |snapshot: &Snapshot| written(snapshot, &service, &call.execution_id, &said, now);
        ledger.decide(Box::new(decision)).await?;
    }
    Ok(())
}

fn written(snapshot: &Snapshot, service: &str, id: &str, said: &HookAnswer, now: Timestamp) -> Changes {
    let mut changes = Changes::new();
    let Some(known) = snapshot.services.get(service) else { return changes };
    let mut service = Service::clone(known);
    let lifecycles = service.deployments.iter_mut().filter_map(|one| one.lifecycle.as_mut());
    let runs = lifecycles.flat_map(|lifecycle| &mut lifecycle.runs);
    runs.filter(|run| run.id == id).for_each(|run| answer(run, said.clone(), now));
    if service != **known {
        changes.put(snapshot, &service);
    }
    changes
}

/// The event that the function gets.
pub fn event(call: &HookCall) -> Value {
    let mut event = json!({
        "executionDetails": {
            "testTrafficWeights": weights(&call.test_weights),
            "productionTrafficWeights": weights(&call.production_weights),
            "serviceArn": call.service_arn.to_string(),
            "targetServiceRevisionArn": call.target_service_revision_arn.to_string(),
        },
        "executionId": call.execution_id,
        "lifecycleStage": call.lifecycle_stage.as_str(),
        "resourceArn": call.service_deployment_arn.to_string(),
    });
    let details = call.details.as_deref().and_then(|details| serde_json::from_str::<Value>(details).ok());
    if let Some(details) = details {
        event["hookDetails"] = details;
    }
    event
}

fn weights(of: &[(ServiceRevisionArn, Weight)]) -> Map<String, Value> {
    of.iter().map(|(arn, weight)| (arn.to_string(), json!(weight.percent()))).collect()
}

/// What the function has said. Without a status that is known the deployment goes back.
pub fn read(bytes: &[u8]) -> HookAnswer {
    let Ok(said) = serde_json::from_slice::<Value>(bytes) else { return HookAnswer::Failed };
    match said["hookStatus"].as_str() {
        Some("SUCCEEDED") => HookAnswer::Succeeded,
        Some("IN_PROGRESS") => HookAnswer::InProgress {
            call_back_delay: said["callBackDelay"].as_u64().map(Duration::from_secs),
            details: said.get("hookDetails").map(Value::to_string),
        },
        _ => HookAnswer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use model::lifecycle::{HookRun, HookStatus};
    use state::MemoryLedger;

    use super::*;

    /// A function that says the same each time, and remembers what it was told.
    struct Fake {
        says: Option<&'static str>,
        told: Mutex<Vec<Value>>,
    }

    #[async_trait]
    impl Functions for Fake {
        async fn invoke(&self, _: &HookCall, event: Value) -> Option<Vec<u8>> {
            self.told.lock().unwrap().push(event);
            self.says.map(|text| text.as_bytes().to_vec())
        }
    }

    /// A canary deployment whose function is to be called.
    fn service() -> Service {
        let record = include_bytes!("../../state/tests/records/service-canary.v1.json");
        state::decode(record).expect("a golden record")
    }

    const DUE: Timestamp = Timestamp::from_millis(1_795_384_379_148);

    async fn asked(says: Option<&'static str>) -> (HookRun, Vec<Value>) {
        let ledger = MemoryLedger::default();
        let mut changes = Changes::new();
        changes.put(&ledger.snapshot(), &service());
        ledger.commit(changes).await.unwrap();
        let fake = Fake { says, told: Mutex::default() };
        ask(&ledger, &fake, DUE).await.unwrap();
        let snapshot = ledger.snapshot();
        let service = snapshot.services.get(&service().name()).unwrap();
        let run = service.primary().unwrap().lifecycle.as_ref().unwrap().runs[1].clone();
        (run, fake.told.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_event_is_that_of_aws() {
        let (_, told) = asked(Some(r#"{"hookStatus":"SUCCEEDED"}"#)).await;
        let arn = "arn:aws:ecs:us-east-1:123456789012:service";
        let revision = format!("{arn}-revision/default/web/2234567890123456780");
        assert_eq!(
            told,
            [json!({
                "executionDetails": {
                    "testTrafficWeights": { &revision: 100.0 },
                    "productionTrafficWeights": { &revision: 5.0 },
                    "serviceArn": format!("{arn}/default/web"),
                    "targetServiceRevisionArn": revision,
                },
                "executionId": "ecs-lambda-6f1d",
                "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
                "resourceArn": format!("{arn}-deployment/default/web/3f1c2d3e4a5b4c6d8e7f01"),
                "hookDetails": { "limit": 3 },
            })]
        );
    }

    #[tokio::test]
    async fn answers() {
        let status = async |says| asked(says).await.0.status;
        assert_eq!(status(Some(r#"{"hookStatus":"SUCCEEDED"}"#)).await, HookStatus::Succeeded);
        for failed in
            [None, Some(r#"{"hookStatus":"FAILED"}"#), Some(r#"{"hookStatus":"MAYBE"}"#), Some("{}"), Some("?")]
        {
            assert_eq!(status(failed).await, HookStatus::Failed, "{failed:?}");
        }
        let again = r#"{"hookStatus":"IN_PROGRESS","callBackDelay":60,"hookDetails":{"try":2}}"#;
        let (run, _) = asked(Some(again)).await;
        assert_eq!((run.status, run.call_at), (HookStatus::InProgress, Some(DUE + Duration::from_secs(60))));
        assert_eq!(run.details.as_deref(), Some(r#"{"try":2}"#));
    }

    #[tokio::test]
    async fn nobody_is_asked_before_it_is_time() {
        let ledger = MemoryLedger::default();
        let mut changes = Changes::new();
        changes.put(&ledger.snapshot(), &service());
        ledger.commit(changes).await.unwrap();
        let fake = Fake { says: None, told: Mutex::default() };
        ask(&ledger, &fake, Timestamp::from_millis(DUE.as_millis() - 1)).await.unwrap();
        assert!(fake.told.into_inner().unwrap().is_empty());
    }
}
