use super::*;

/// As `nvidia-ctk cdi generate` writes it for a machine with two cards, shortened.
const NVIDIA_FILE: &str = r"---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
    args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib64]
  mounts:
  - hostPath: /usr/lib64/libcuda.so.1
    containerPath: /usr/lib64/libcuda.so.1
    options: [ro, nosuid, nodev, bind]
devices:
- name: '0'
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      fileMode: 438
      permissions: rw
- name: '1'
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia1
- name: GPU-0c
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia1
- name: GPU-7f
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      fileMode: 438
      permissions: rw
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/nvidia1
";

fn gpus(files: &[(&str, &str)]) -> Gpus {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Gpus::read(&[dir.path().join("etc"), dir.path().join("run")])
}

#[test]
fn each_gpu_has_one_id() {
    assert_eq!(gpus(&[("etc/nvidia.yaml", NVIDIA_FILE)]).ids(), ["GPU-0c", "GPU-7f"]);
    let by_index = r#"{"cdiVersion":"0.6.0","kind":"amd.com/gpu","devices":[
        {"name":"0","containerEdits":{"deviceNodes":[{"path":"/dev/dri/renderD128"}]}},
        {"name":"all","containerEdits":{"deviceNodes":[{"path":"/dev/dri/renderD128"}]}}]}"#;
    assert_eq!(gpus(&[("etc/amd.json", by_index)]).ids(), ["amd.com/gpu=0"]);
    let only_all = r#"{"cdiVersion":"0.3.0","kind":"nvidia.com/gpu","devices":[
        {"name":"all","containerEdits":{"deviceNodes":[{"path":"/dev/dxg"}]}}]}"#;
    assert_eq!(gpus(&[("run/wsl.json", only_all)]).ids(), ["all"]);
    let network = only_all.replace("nvidia.com/gpu", "vendor.com/nic");
    assert!(gpus(&[("etc/nic.json", &network)]).ids().is_empty());
    assert!(gpus(&[]).ids().is_empty());
}

#[test]
fn a_container_gets_what_the_file_says() {
    let edits = gpus(&[("etc/nvidia.yaml", NVIDIA_FILE)]).edits(&["GPU-7f", "GPU-0c"]).unwrap();
    let paths: Vec<_> = edits.devices.iter().map(|device| device.container_path.to_str().unwrap()).collect();
    assert_eq!(paths, ["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia1"], "what all have in common counts once");
    assert_eq!((edits.devices[1].mode, edits.devices[1].access.as_str()), (Some(0o666), "rw"));
    assert_eq!(edits.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
    assert_eq!(edits.hooks.len(), 1);
    assert_eq!(edits.hooks[0].args[1], "update-ldcache");
    assert!(edits.mounts[0].readonly);
}

#[test]
fn the_later_directory_wins_and_doubles_are_nobodys() {
    let file = |path: &str| {
        format!(
            r#"{{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[
            {{"name":"GPU-1","containerEdits":{{"deviceNodes":[{{"path":"{path}"}}]}}}}]}}"#
        )
    };
    let (one, other) = (file("/dev/one"), file("/dev/other"));
    let found = gpus(&[("etc/a.json", &one), ("run/a.json", &other)]);
    assert_eq!(found.edits(&["GPU-1"]).unwrap().devices[0].host_path, Path::new("/dev/other"));
    let doubled = gpus(&[("etc/a.json", &one), ("etc/b.json", &other)]);
    assert!(doubled.ids().is_empty());
    let failed = "CannotStartContainerError: Error response from daemon: CDI device injection failed: unresolvable CDI devices \
                  nvidia.com/gpu=GPU-1";
    assert_eq!(doubled.edits(&["GPU-1"]).unwrap_err().reason(), failed);
}

#[test]
fn what_cannot_be_used_is_passed_over_or_refused() {
    let good = NVIDIA_FILE.replace("nvidia.com/gpu", "amd.com/gpu");
    for bad in [
        "",
        "[",
        "a: &a [*a]",
        "cdiVersion: 9.0.0\nkind: nvidia.com/gpu\ndevices: []",
        "cdiVersion: 0.6.0\nkind: nvidia.com/gpu",
        "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ndevices:\n- name: x\n  containerEdits: {deviceNodes: [{path: nvidia0}]}",
        "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ndevices:\n- name: x\n  containerEdits: {surprise: 1}",
    ] {
        let found = gpus(&[("etc/bad.yaml", bad), ("etc/good.yaml", &good)]);
        assert_eq!(found.ids(), ["amd.com/gpu=GPU-0c", "amd.com/gpu=GPU-7f"], "{bad}");
    }
    let with = |edits: &str| {
        let text =
            format!("cdiVersion: 1.1.0\nkind: nvidia.com/gpu\ndevices:\n- name: x\n  containerEdits: {{ {edits} }}\n");
        gpus(&[("etc/x.yaml", &text)]).edits(&["x"]).map_err(|failure| failure.reason()).unwrap_err()
    };
    for (edits, why) in [
        ("intelRdt: {closID: a}", "intelRdt is not available on this container instance"),
        ("netDevices: [{hostInterfaceName: a, name: b}]", "netDevices are not available on this container instance"),
        ("deviceNodes: [{path: /dev/x, type: p}]", "device node /dev/x is a named pipe"),
        ("mounts: [{hostPath: /x, containerPath: /x, type: tmpfs}]", "mount /x is of the type tmpfs"),
        ("hooks: [{hookName: someday, path: /bin/x}]", "unknown hook someday"),
    ] {
        let expected =
            format!("CannotStartContainerError: Error response from daemon: CDI device injection failed: {why}");
        assert_eq!(with(edits), expected);
    }
}
