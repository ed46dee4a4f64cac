//! Where a service model is wrong, or says what our validation cannot check. Each patch carries its reason.

use super::botocore::Model;

pub fn apply(service: &str, model: &mut Model) {
    for (of, shape, patch) in PATCHES {
        if *of == service {
            let shape = model.shapes.get_mut(*shape).unwrap_or_else(|| panic!("patches.rs: {of} has no shape {shape}"));
            match patch {
                Patch::NoPattern => shape.pattern = None,
            }
        }
    }
}

enum Patch {
    /// Drop the pattern: it needs look-around, which our linear-time regular expressions do not have.
    NoPattern,
}

/// Service, shape, patch.
const PATCHES: &[(&str, &str, Patch)] = &[];
