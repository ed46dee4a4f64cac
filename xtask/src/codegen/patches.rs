//! Where a service model is wrong, or says what our validation cannot check. Each patch carries its reason and a link.

use super::botocore::{Model, Reference, Shape};

pub fn apply(service: &str, model: &mut Model) {
    for (of, name, change) in PATCHES {
        if *of == service {
            let shape = model.shapes.get_mut(*name);
            change(shape.unwrap_or_else(|| panic!("patches.rs mends {of}.{name}, which the model does not have")));
        }
    }
}

/// Service, shape, change.
type Patch = (&'static str, &'static str, fn(&mut Shape));

const PATCHES: &[Patch] = &[
    // The ECS agent sends a client token with its registration, so that the retry of a call whose answer was lost does not
    // register the machine twice. The public model leaves it out; the agent's own one has it:
    // https://github.com/aws/amazon-ecs-agent/blob/master/ecs-agent/api/ecs/model/ecs/api-2.json
    ("ecs", "RegisterContainerInstanceRequest", |shape| shape.members.0.push(text("clientToken"))),
];

/// A member of plain text.
fn text(name: &str) -> (String, Reference) {
    let reference = Reference {
        shape: "String".to_owned(),
        location: None,
        location_name: None,
        query_name: None,
        result_wrapper: None,
        timestamp_format: None,
        streaming: false,
    };
    (name.to_owned(), reference)
}
