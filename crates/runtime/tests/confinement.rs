//! What an OCI runtime is told of the profiles and labels that confine a container.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use runtime::{ContainerSpec, Host, SelinuxLabels, Surroundings, User, spec_json};
use serde_json::json;

fn check(change: impl FnOnce(&mut ContainerSpec), expected: Expect) {
    let host = Host {
        capabilities: 0,
        ulimit_ceilings: BTreeMap::new(),
        oom_score_adj: 0,
        cgroup_v2: true,
        cgroup_trees: Vec::new(),
    };
    let user = User { uid: 0, gid: 0, additional_gids: Vec::new(), home: None };
    let around = Surroundings {
        host: &host,
        user,
        devices: Vec::new(),
        cgroup_path: "/ecs/task/c".to_owned(),
        has_32_bit_programs: false,
        etc_files: Vec::new(),
    };
    let mut spec = ContainerSpec::new("c".parse().unwrap(), vec!["/l".into()], vec!["/app".to_owned()]);
    change(&mut spec);
    let config = spec_json(&spec, &around).unwrap();
    let (process, linux) = (&config["process"], &config["linux"]);
    let said = json!({
        "apparmorProfile": process.get("apparmorProfile"),
        "noNewPrivileges": process.get("noNewPrivileges"),
        "selinuxLabel": process.get("selinuxLabel"),
        "mountLabel": linux.get("mountLabel"),
    });
    expected.assert_eq(&serde_json::to_string_pretty(&said).unwrap());
}

#[test]
fn nothing_is_said_of_what_the_machine_does_not_have() {
    check(
        |_| {},
        expect![[r#"
            {
              "apparmorProfile": null,
              "mountLabel": null,
              "noNewPrivileges": null,
              "selinuxLabel": null
            }"#]],
    );
}

#[test]
fn profiles_and_labels_reach_the_runtime() {
    check(
        |spec| {
            spec.apparmor_profile = Some("berth-default".to_owned());
            spec.no_new_privileges = true;
            spec.selinux = Some(SelinuxLabels {
                process: "system_u:system_r:svirt_apache_t:s0:c1,c2".to_owned(),
                mount: "system_u:object_r:container_file_t:s0:c1,c2".to_owned(),
            });
        },
        expect![[r#"
            {
              "apparmorProfile": "berth-default",
              "mountLabel": "system_u:object_r:container_file_t:s0:c1,c2",
              "noNewPrivileges": true,
              "selinuxLabel": "system_u:system_r:svirt_apache_t:s0:c1,c2"
            }"#]],
    );
}
