//! Every parser that reads outside bytes, as a function that must survive whatever it is given.
//!
//! A target takes bytes and asserts what has to hold: nothing panics, nothing overflows, what is written is read back,
//! limits are kept, and unpacking stays in its directory. Two programs drive them. `cargo fuzz` in `fuzz/` follows the code
//! that inputs reach, with a nightly compiler; the test beside this crate, which needs none, tries the seeds in `fuzz/seeds` and
//! what [`Mutator`] makes of them, for a moment each. `cargo xtask fuzz` runs either.
//!
//! Start reading at [`TARGETS`]; the other files hold the targets, one area each.

#![forbid(unsafe_code)]

mod agents;
mod images_and_layers;
mod mutator;
mod node;
mod objects;
mod records;
mod registries;
mod sessions;
mod text;
mod wires;
mod worlds;

use std::path::PathBuf;

pub use mutator::Mutator;

/// One parser, or a few that read the same thing.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Longer inputs say nothing new.
    pub bytes_max: usize,
}

const fn target(name: &'static str, bytes_max: usize, run: fn(&[u8])) -> Target {
    Target { name, run, bytes_max }
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    target("acs_frames", 4096, agents::acs_frames),
    target("agent_records", 4096, records::agent_records),
    target("api_answers", 2048, wires::api_answers),
    target("aws_chunked", 1024, objects::aws_chunked),
    target("cluster_query", 512, text::cluster_query),
    target("compressed", 2048, images_and_layers::compressed),
    target("dates", 64, wires::dates),
    target("ecs_calls", 2048, worlds::ecs_calls),
    target("filter_pattern", 512, text::filter_pattern),
    target("gateway", 1024, worlds::gateway),
    target("image_config", 2048, images_and_layers::image_config),
    target("image_manifest", 2048, images_and_layers::image_manifest),
    target("image_reference", 256, images_and_layers::image_reference),
    target("insights_query", 512, text::insights_query),
    target("json_input", 2048, wires::json_input),
    target("log_options", 512, text::log_options),
    target("log_store", 1024, records::log_store),
    target("query_input", 1024, wires::query_input),
    target("registry_manifest", 2048, registries::registry_manifest),
    target("registry_requests", 512, registries::registry_requests),
    target("rest_xml_input", 2048, objects::rest_xml_input),
    target("session_frames", 2048, sessions::session_frames),
    target("shim_frames", 512, node::shim_frames),
    target("sigv4", 1024, wires::sigv4),
    target("state_records", 2048, records::state_records),
    target("store_history", 512, records::store_history),
    target("tar_entries", 8192, images_and_layers::tar_entries),
    target("tar_layers", 512, images_and_layers::tar_layers),
    target("tcs_frames", 4096, agents::tcs_frames),
    target("upgrade_query", 512, agents::upgrade_query),
    target("users", 512, node::users),
];

/// # Panics
///
/// When there is no target of that name, or when it finds something.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no fuzz target {name}")).run)(bytes);
}

/// The folder `fuzz/` of this repository.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The text of an input up to a line's end, and what is behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
