//! Conversations of the official ECS agent with a control plane, as data: see `conversations/*.txt`. They run over real sockets.
//! The words are explained in `conversation/script.rs` and `conversation/matching.rs`.

mod conversation;

use std::collections::BTreeSet;

use conversation::{Step, folder, play, read};

macro_rules! conversations {
    ($($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                play(stringify!($name)).await;
            }
        )*

        const PLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

conversations! {
    attachments,
    capabilities,
    credentials_and_updates,
    endpoints,
    first_start,
    full_payload,
    heartbeats,
    identity,
    images_and_logs,
    lost_acks,
    manifest,
    ordinary_life,
    re_registration,
    refused_upgrades,
    reports_out_of_order,
    restart_of_the_control_plane,
    signatures,
    stopping,
    superseded,
    telemetry,
}

/// Files whose name begins with an underscore are the beginning of others.
#[test]
fn every_script_is_played() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let scripts = files.filter_map(|name| name.strip_suffix(".txt").map(str::to_owned));
    let scripts: BTreeSet<String> = scripts.filter(|name| !name.starts_with('_')).collect();
    assert_eq!(scripts, PLAYED.iter().map(|name| name.to_string()).collect());
}

/// Sections 1 to 16 of the agent protocol; the last one is a summary of them.
#[test]
fn every_section_has_a_script() {
    let steps = PLAYED.iter().flat_map(|name| read(name));
    let covered: BTreeSet<u32> = steps
        .filter_map(|line| match line.step {
            Step::Sections(sections) => Some(sections),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(covered, (1..=16).collect());
}
