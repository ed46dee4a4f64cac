//! PutAccountSetting.

use api_ecr::{Error, PutAccountSettingRequest, PutAccountSettingResponse};
use registry::Holder;
use shape::Caller;

use super::get_account_setting::{Setting, SettingsRecord};
use crate::names;
use crate::refusals::{invalid, required};
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: PutAccountSettingRequest,
) -> Result<PutAccountSettingResponse, Error> {
    let scope = names::scope(caller)?;
    let setting = Setting::parse(&required(input.name, "name")?)?;
    let value = required(input.value, "value")?;
    if !setting.values().contains(&value.as_str()) {
        let constraint = format_args!("Member must satisfy enum value set: [{}]", setting.values().join(", "));
        return Err(invalid("value", constraint));
    }
    let kept = value.clone();
    service
        .on_disk(move |registry| {
            registry.change_record(Holder::Registry(&scope), SettingsRecord::NAME, |record: Option<SettingsRecord>| {
                let mut record = record.unwrap_or_default();
                record.settings.insert(setting.name().to_owned(), kept);
                Ok::<_, std::convert::Infallible>((Some(record), ()))
            })
        })
        .await?
        .unwrap_or_else(|never| match never {});
    Ok(PutAccountSettingResponse { name: Some(setting.name().to_owned()), value: Some(value) })
}
