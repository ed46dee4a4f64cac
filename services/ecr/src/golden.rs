//! Records as earlier versions have written them, which every later one must read and write.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache_rules::CacheRules;
use crate::lifecycle::{LifecycleRecord, PreviewRecord};
use crate::ops::get_account_setting::SettingsRecord;
use crate::policies::PolicyRecord;
use crate::scanning::ScanningRecord;

#[track_caller]
fn check<T: Serialize + DeserializeOwned>(text: &str) {
    let record: T = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
}

#[test]
fn records_stay_readable() {
    check::<PolicyRecord>(r#"{"version":1,"text":"{}"}"#);
    check::<LifecycleRecord>(r#"{"version":1,"text":"{}","last_evaluated_at":null}"#);
    check::<LifecycleRecord>(r#"{"version":1,"text":"{}","last_evaluated_at":1700000000123}"#);
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    check::<PreviewRecord>(&format!(
        r#"{{"version":1,"text":"{{}}","started_at":1,"expiring":[{{"digest":"{digest}","tags":["a"],"pushed_at":2,"rule_priority":3}}]}}"#
    ));
    check::<ScanningRecord>(
        r#"{"version":1,"scan_type":"BASIC","rules":[{"frequency":"SCAN_ON_PUSH","filters":["prod*"]}]}"#,
    );
    check::<SettingsRecord>(r#"{"version":1,"settings":{"REGISTRY_POLICY_SCOPE":"V1"}}"#);
    check::<CacheRules>(
        r#"{"version":1,"rules":{"hub":{"prefix":"hub","upstream_url":"quay.io","upstream_registry":"quay","upstream_prefix":"ROOT","credential_arn":null,"custom_role_arn":null,"created_at":1,"updated_at":null}}}"#,
    );
}
