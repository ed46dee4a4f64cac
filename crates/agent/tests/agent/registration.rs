//! How an agent introduces itself, and when it does not stay.

use std::collections::BTreeMap;

use agent::seams::ApiError;
use agent::{AgentConfig, AgentError};

use crate::control_plane::Moment;
use crate::payloads::INSTANCE;
use crate::rig::Rig;

#[tokio::test]
async fn a_new_instance_registers_and_is_known_by_its_arn() {
    let rig = Rig::new().await;
    let instance_attributes = BTreeMap::from([("rack".to_owned(), "7".to_owned())]);
    let agent = rig.try_start(AgentConfig { instance_attributes, ..rig.config() }).await.unwrap();
    assert_eq!(agent.container_instance_arn(), INSTANCE);
    agent.connected().await;
    let state = rig.control.lock();
    let request = &state.registrations[0];
    assert_eq!(request.container_instance_arn, None);
    let rack = request.attributes.iter().flatten().find(|attribute| attribute.name.as_deref() == Some("rack")).unwrap();
    assert_eq!(rack.value.as_deref(), Some("7"));
    assert_eq!(state.discoveries, 1, "one question serves both sockets");
    let query = &state.acs[0].1;
    assert_eq!((query.container_instance_arn.as_str(), query.cluster_arn.as_str()), (INSTANCE, "default"));
    assert_eq!((query.protocol_version, query.seq_num, query.send_credentials), (2, 1, true));
}

#[tokio::test]
async fn an_attribute_that_does_not_come_back_is_an_error() {
    let rig = Rig::new().await;
    rig.control.lock().withheld = Some("ecs.os-type".to_owned());
    let error = rig.try_start(rig.config()).await.err().unwrap();
    assert!(matches!(&error, AgentError::AttributeNotEchoed(name) if name == "ecs.os-type"), "{error}");
    rig.control.lock().withheld = Some("ecs.capability.full-sync".to_owned());
    rig.try_start(rig.config()).await.expect("a name without a value need not come back");
}

#[tokio::test]
async fn registration_waits_for_a_control_plane_and_takes_a_refusal() {
    let rig = Rig::new().await;
    let unavailable = ApiError::Unavailable("starting".to_owned());
    rig.control.lock().register_errors.extend([unavailable.clone(), unavailable]);
    drop(rig.try_start(rig.config()).await.unwrap());
    assert_eq!(rig.control.lock().registrations.len(), 3);
    let refused = ApiError::Refused { code: "ClientException".to_owned(), message: "Cluster not found.".to_owned() };
    rig.control.lock().register_errors.push_back(refused.clone());
    let error = rig.try_start(rig.config()).await.err().unwrap();
    assert!(matches!(&error, AgentError::Register(found) if *found == refused), "{error}");
}

#[tokio::test]
async fn a_restart_is_the_same_instance_without_its_custom_attributes() {
    let rig = Rig::new().await;
    let instance_attributes = BTreeMap::from([("rack".to_owned(), "7".to_owned())]);
    let config = AgentConfig { instance_attributes, ..rig.config() };
    rig.try_start(config.clone()).await.unwrap().detach();
    drop(rig.try_start(config.clone()).await.unwrap());
    let state = rig.control.lock();
    let again = &state.registrations[1];
    assert_eq!(again.container_instance_arn.as_deref(), Some(INSTANCE));
    assert!(again.attributes.iter().flatten().all(|attribute| attribute.name.as_deref() != Some("rack")));
    assert_eq!(state.history.iter().filter(|moment| **moment == Moment::Registered).count(), 2);
}

#[tokio::test]
async fn the_state_of_another_cluster_is_not_taken_up() {
    let rig = Rig::new().await;
    rig.try_start(rig.config()).await.unwrap().detach();
    let error = rig.try_start(AgentConfig { cluster: "prod".to_owned(), ..rig.config() }).await.err().unwrap();
    assert!(matches!(error, AgentError::OtherCluster { .. }), "{error}");
    assert_eq!(rig.control.lock().registrations.len(), 1, "nobody was asked");
}
