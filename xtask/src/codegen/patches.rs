//! Where a service model is wrong, or says what our validation cannot check. Each patch carries its reason and a link.

use super::botocore::{Model, Shape};

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

/// None is needed for the operations served today: every pattern of theirs compiles, and
/// every constraint is one that AWS enforces.
const PATCHES: &[Patch] = &[];
