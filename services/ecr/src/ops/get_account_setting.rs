//! GetAccountSetting, and what settings there are.

use std::collections::BTreeMap;

use api_ecr::{Error, GetAccountSettingRequest, GetAccountSettingResponse};
use registry::Holder;
use serde::{Deserialize, Serialize};
use shape::Caller;

use crate::names;
use crate::refusals::{invalid, required};
use crate::service::EcrService;

/// Source: Amazon ECR API Reference, PutAccountSetting, `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    BasicScanTypeVersion,
    RegistryPolicyScope,
    BlobMounting,
}

/// The settings of a registry as they are on disk, but for those that have their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsRecord {
    version: u32,
    pub(crate) settings: BTreeMap<String, String>,
}

impl Default for SettingsRecord {
    fn default() -> SettingsRecord {
        SettingsRecord { version: 1, settings: BTreeMap::new() }
    }
}

impl SettingsRecord {
    pub(crate) const NAME: &str = "account-settings";
}

impl Setting {
    const ALL: [Setting; 3] = [Setting::BasicScanTypeVersion, Setting::RegistryPolicyScope, Setting::BlobMounting];

    pub(crate) fn parse(name: &str) -> Result<Setting, Error> {
        Setting::ALL.into_iter().find(|setting| setting.name() == name).ok_or_else(|| {
            let names = Setting::ALL.map(Setting::name).join(", ");
            invalid("name", format_args!("Member must satisfy enum value set: [{names}]"))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Setting::BasicScanTypeVersion => "BASIC_SCAN_TYPE_VERSION",
            Setting::RegistryPolicyScope => "REGISTRY_POLICY_SCOPE",
            Setting::BlobMounting => "BLOB_MOUNTING",
        }
    }

    /// The default first.
    pub(crate) fn values(self) -> &'static [&'static str] {
        match self {
            Setting::BasicScanTypeVersion => &["AWS_NATIVE", "CLAIR"],
            Setting::RegistryPolicyScope => &["V2", "V1"],
            // Layers are shared between repositories, whatever a client asks for: see `quirks`.
            Setting::BlobMounting => &["ENABLED"],
        }
    }
}

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetAccountSettingRequest,
) -> Result<GetAccountSettingResponse, Error> {
    let scope = names::scope(caller)?;
    let setting = Setting::parse(&required(input.name, "name")?)?;
    let kept: Option<SettingsRecord> =
        service.on_disk(move |registry| registry.record(Holder::Registry(&scope), SettingsRecord::NAME)).await?;
    let value = kept.and_then(|mut kept| kept.settings.remove(setting.name()));
    Ok(GetAccountSettingResponse {
        name: Some(setting.name().to_owned()),
        value: Some(value.unwrap_or_else(|| setting.values()[0].to_owned())),
    })
}
