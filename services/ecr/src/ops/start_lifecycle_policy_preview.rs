//! StartLifecyclePolicyPreview: what a policy would expire now, kept to be read.

use api_ecr::enums::lifecycle_policy_preview_status;
use api_ecr::{Error, StartLifecyclePolicyPreviewRequest, StartLifecyclePolicyPreviewResponse};
use registry::Holder;
use shape::Caller;

use crate::lifecycle::{self, LifecycleRecord, PreviewRecord, policy_not_found};
use crate::service::EcrService;
use crate::{names, refusals};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: StartLifecyclePolicyPreviewRequest,
) -> Result<StartLifecyclePolicyPreviewResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "StartLifecyclePolicyPreview")?;
    let now = service.now();
    service
        .decide(move |registry| {
            let holder = Holder::Repository(&key);
            let kept: Option<LifecycleRecord> =
                registry.record(holder, LifecycleRecord::NAME).map_err(refusals::registry)?;
            // Without a text, the policy that acts is meant.
            let text = input.lifecycle_policy_text.or(kept.map(|kept| kept.text));
            let text = text.ok_or_else(|| policy_not_found(&key))?;
            let policy = lifecycle::parse(&text)?;
            let expiring = lifecycle::plan(registry, &key, &policy, now).map_err(refusals::registry)?;
            let record = PreviewRecord::new(text.clone(), now, expiring);
            registry.put_record(holder, PreviewRecord::NAME, &record).map_err(refusals::registry)?;
            Ok(StartLifecyclePolicyPreviewResponse {
                registry_id: Some(key.scope.account().to_owned()),
                repository_name: Some(key.name.to_string()),
                lifecycle_policy_text: Some(text),
                status: Some(lifecycle_policy_preview_status::IN_PROGRESS.to_owned()),
            })
        })
        .await
}
