//! Records that were written by earlier versions can be read for ever. A file here is never changed, only added.

use std::fs;
use std::path::PathBuf;

use model::{
    AccountSetting, Bucket, CapacityProvider, ClientToken, Cluster, ContainerInstance, Daemon, DaemonDeployment,
    DaemonRevision, Family, MetricFilter, MultipartUpload, Object, QueryDefinition, Replica, Service,
    ServiceDeployment, ServiceRevision, SubscriptionFilter, Task, TaskDefinition, UploadPart,
};
use state::{DecodeError, Record, decode, encode};

fn check<R: Record>(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let record: R = decode(&bytes).unwrap_or_else(|error| panic!("{file}: {error:?}"));
    // What is read is written with the same meaning.
    let before: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let after: serde_json::Value = serde_json::from_slice(&encode(&record)).unwrap();
    assert_eq!(after, before, "{file}");
}

#[test]
fn records_of_version_1() {
    check::<Cluster>("cluster.v1.json");
    check::<Cluster>("cluster-execute-command.v1.json");
    check::<Family>("family.v1.json");
    check::<TaskDefinition>("task-definition.v1.json");
    check::<ContainerInstance>("container-instance.v1.json");
    check::<Task>("task.v1.json");
    check::<Task>("task-protected.v1.json");
    check::<Task>("task-provisioning.v1.json");
    check::<Task>("task-probed.v1.json");
    check::<Task>("task-gpus.v1.json");
    check::<Task>("task-not-ready-yet.v1.json");
    check::<Service>("service.v1.json");
    check::<Service>("service-after-rollback.v1.json");
    check::<ServiceDeployment>("service-deployment.v1.json");
    check::<Service>("service-canary.v1.json");
    check::<ServiceDeployment>("service-deployment-blue-green.v1.json");
    check::<ServiceRevision>("service-revision.v1.json");
    check::<Service>("service-daemon.v1.json");
    check::<Service>("service-external.v1.json");
    check::<Service>("service-rebalancing.v1.json");
    check::<Service>("service-threshold.v1.json");
    check::<Service>("service-early-success.v1.json");
    check::<ClientToken>("client-token.v1.json");
    check::<MetricFilter>("metric-filter.v1.json");
    check::<SubscriptionFilter>("subscription-filter.v1.json");
    check::<CapacityProvider>("capacity-provider.v1.json");
    check::<Replica>("replica.v1.json");
    check::<ContainerInstance>("container-instance-served.v1.json");
    check::<AccountSetting>("account-setting.v1.json");
    check::<Daemon>("daemon.v1.json");
    check::<DaemonRevision>("daemon-revision.v1.json");
    check::<DaemonRevision>("daemon-revision-not-critical.v1.json");
    check::<DaemonDeployment>("daemon-deployment.v1.json");
    check::<QueryDefinition>("query-definition.v1.json");
    check::<Bucket>("s3-bucket.v1.json");
    check::<Object>("s3-object.v1.json");
    check::<MultipartUpload>("s3-upload.v1.json");
    check::<UploadPart>("s3-part.v1.json");
}

#[test]
fn a_record_of_a_newer_version_is_refused() {
    let error = decode::<Family>(br#"{"v":2,"r":{}}"#).unwrap_err();
    assert!(matches!(error, DecodeError::Version { kind: "family", found: 2, known: 1 }), "{error}");
}
