use std::collections::BTreeMap;

use api_ecs::{Error, ErrorCode, PutAttributesRequest, PutAttributesResponse};
use model::{Attribute, Cluster, ContainerInstance};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::limits::{ATTRIBUTE_CHARS_MAX, ATTRIBUTES_PER_CALL_MAX, CUSTOM_ATTRIBUTES_MAX};
use crate::{lookup, views};

/// Gives instances custom attributes, or other values to those they have.
pub(crate) fn apply(input: &PutAttributesRequest, ctx: &mut Ctx<'_>) -> Applied<PutAttributesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut targets = Targets::default();
    let mut shown = Vec::new();
    for given in within_limit(input.attributes.as_ref())? {
        let attribute = parse(given)?;
        let instance = targets.find(ctx, &cluster, given)?;
        shown.push(views::attribute(&attribute, Some(&instance.arn())));
        match instance.attributes.iter_mut().find(|known| known.name == attribute.name) {
            Some(known) => known.value = attribute.value,
            None => instance.attributes.push(attribute),
        }
    }
    for instance in targets.0.values() {
        let custom = instance.attributes.iter().filter(|one| ContainerInstance::is_custom(&one.name)).count();
        if custom > CUSTOM_ATTRIBUTES_MAX {
            return Err(Error::new(
                ErrorCode::AttributeLimitExceededException,
                format!("{} would have more than {CUSTOM_ATTRIBUTES_MAX} custom attributes.", instance.arn()),
            ));
        }
    }
    Ok((targets.changes(ctx), PutAttributesResponse { attributes: Some(shown) }))
}

/// The instances that a call changes, each once.
#[derive(Default)]
pub(super) struct Targets(BTreeMap<String, ContainerInstance>);

impl Targets {
    pub fn find(
        &mut self,
        ctx: &Ctx<'_>,
        cluster: &Cluster,
        attribute: &api_ecs::Attribute,
    ) -> Result<&mut ContainerInstance, Error> {
        let id = attribute.target_id.as_deref().unwrap_or_default();
        if id.is_empty() {
            return Err(invalid("The targetId of an attribute cannot be empty."));
        }
        let found = lookup::active_container_instance(ctx, cluster, id);
        let found = found.ok_or_else(|| {
            Error::new(ErrorCode::TargetNotFoundException, format!("The specified target {id} was not found."))
        })?;
        Ok(self.0.entry(found.id.clone()).or_insert_with(|| (*found).clone()))
    }

    /// Only what really changed is written.
    pub fn changes(self, ctx: &Ctx<'_>) -> Changes {
        let mut changes = Changes::new();
        for mut instance in self.0.into_values() {
            let name = state::Record::name(&instance);
            let known = ctx.snapshot.container_instances.get(&name);
            if known.is_none_or(|known| known.attributes != instance.attributes) {
                instance.version += 1;
                changes.put(ctx.snapshot, &instance);
            }
        }
        changes
    }
}

pub(super) fn within_limit(given: Option<&Vec<api_ecs::Attribute>>) -> Result<&[api_ecs::Attribute], Error> {
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.is_empty() || given.len() > ATTRIBUTES_PER_CALL_MAX {
        return Err(invalid(format!("The number of attributes must be between 1 and {ATTRIBUTES_PER_CALL_MAX}.")));
    }
    Ok(given)
}

/// Source: Amazon ECS API Reference, `Attribute`.
fn parse(given: &api_ecs::Attribute) -> Result<Attribute, Error> {
    let name = custom_name(given)?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_./\\".contains(c);
    if name.chars().count() > ATTRIBUTE_CHARS_MAX || !name.chars().all(letter) {
        return Err(invalid(format!(
            "Invalid attribute name '{name}': use up to {ATTRIBUTE_CHARS_MAX} letters, numbers, hyphens, underscores, slashes, back slashes and periods."
        )));
    }
    let value = given.value.clone();
    if let Some(value) = &value {
        let allowed = |c: char| letter(c) || "@: ".contains(c);
        let length = value.chars().count();
        let has_form = (1..=ATTRIBUTE_CHARS_MAX).contains(&length) && value.chars().all(allowed);
        if !has_form || value.starts_with(' ') || value.ends_with(' ') {
            return Err(invalid(format!(
                "Invalid value of attribute '{name}': use 1 to {ATTRIBUTE_CHARS_MAX} letters, numbers, hyphens, underscores, periods, at signs, slashes, back slashes, colons and inner spaces."
            )));
        }
    }
    Ok(Attribute { name, value })
}

/// What an agent says about its machine is not a person's to change.
pub(super) fn custom_name(given: &api_ecs::Attribute) -> Result<String, Error> {
    let name = given.name.clone().unwrap_or_default();
    if name.is_empty() {
        return Err(invalid("Attribute names cannot be empty."));
    }
    if !ContainerInstance::is_custom(&name) {
        return Err(invalid(format!("The attribute '{name}' is set by Amazon ECS and cannot be changed.")));
    }
    Ok(name)
}
