//! Which machine registers: an EC2 instance by its identity document, any other by an id that it is given.

use model::{Attribute, ContainerInstance};

use crate::ctx::Ctx;
use crate::error::{Error, client};

/// What the identity document of an EC2 instance says. Its signature is taken as it comes: the keys that could check it belong to
/// AWS, and whoever may register an instance may register any.
///
/// Source: Amazon EC2 User Guide, "Instance identity documents".
#[derive(Default)]
pub struct Identity {
    pub instance_id: Option<String>,
    instance_type: Option<String>,
    image_id: Option<String>,
    availability_zone: Option<String>,
}

impl Identity {
    /// An agent outside EC2 sends an empty text.
    pub fn read(document: Option<&str>) -> Result<Identity, Error> {
        let document = document.unwrap_or_default().trim();
        if document.is_empty() {
            return Ok(Identity::default());
        }
        let document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(document).map_err(|_| client("Invalid identity document."))?;
        let text = |name: &str| document.get(name)?.as_str().map(str::to_owned);
        let instance_id = text("instanceId").ok_or_else(|| client("Invalid identity document."))?;
        Ok(Identity {
            instance_id: Some(instance_id),
            instance_type: text("instanceType"),
            image_id: text("imageId"),
            availability_zone: text("availabilityZone"),
        })
    }

    /// Adds what placement asks for and the agent does not say: its own attributes stay as they came, because the agent ends for
    /// good when one does not come back. An agent that knows no zone is in the first one of its region.
    ///
    /// Source: Amazon ECS Developer Guide, "Container instance attributes".
    pub fn add_to(&self, attributes: &mut Vec<Attribute>, ctx: &Ctx<'_>) {
        let zone = self.availability_zone.clone().unwrap_or_else(|| format!("{}a", ctx.scope.region));
        for (name, value) in [
            ("ecs.availability-zone", Some(&zone)),
            ("ecs.instance-type", self.instance_type.as_ref()),
            ("ecs.ami-id", self.image_id.as_ref()),
        ] {
            if let Some(value) = value
                && !attributes.iter().any(|attribute| attribute.name == name)
            {
                attributes.push(Attribute { name: name.into(), value: Some(value.clone()) });
            }
        }
    }

    /// A machine that comes back under an ARN must be the machine that had it. The agent knows the beginning of the first message, and
    /// tells its operator what to do.
    pub fn check_unchanged(&self, known: &ContainerInstance) -> Result<(), Error> {
        if let (Some(before), Some(now)) = (known.attribute("ecs.instance-type"), &self.instance_type)
            && before != now
        {
            return Err(client(format!(
                "Container instance type changes are not supported. Container instance {} was previously registered as {before}.",
                known.id
            )));
        }
        if let (Some(before), Some(now)) = (&known.ec2_instance_id, &self.instance_id)
            && before != now
        {
            return Err(client(format!(
                "Container instance {} was previously registered by EC2 instance {before}.",
                known.id
            )));
        }
        Ok(())
    }
}

/// The managed instance id of a machine outside EC2. It is the name of its session when its keys come from Systems Manager; any other
/// machine is given one.
///
/// Source: Amazon ECS API Reference, `ContainerInstance.ec2InstanceId`: "For external instances, this is the AWS Systems Manager
/// managed instance ID."
pub fn managed_instance(ctx: &mut Ctx<'_>) -> String {
    let session = ctx.caller.principal.arn.rsplit('/').next().unwrap_or_default();
    if is_managed_instance(session) { session.to_owned() } else { format!("mi-{}", &ctx.ids.hex()[..17]) }
}

fn is_managed_instance(id: &str) -> bool {
    let digits = id.strip_prefix("mi-").unwrap_or_default();
    digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managed_instances_have_a_form() {
        assert!(is_managed_instance("mi-0123456789abcdef0"));
        for other in ["", "mi-", "i-0123456789abcdef0", "mi-0123456789abcdef", "mi-0123456789ABCDEF0", "root"] {
            assert!(!is_managed_instance(other), "{other}");
        }
    }

    #[test]
    fn documents_are_objects_with_an_id() {
        assert!(Identity::read(None).unwrap().instance_id.is_none());
        assert!(Identity::read(Some(" ")).unwrap().instance_id.is_none());
        for broken in ["[]", "{", "{}", r#"{"instanceId":7}"#, "text"] {
            assert!(Identity::read(Some(broken)).is_err(), "{broken}");
        }
    }
}
