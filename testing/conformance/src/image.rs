//! The image that the cases run: one static program, compiled here, in an OCI layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

pub const IMAGE: &str = "probe:1";

const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\nweb:x:1001:\nextra:x:1500:web\n";

/// The compiled program. It is kept, so that a machine without a compiler can be given it.
pub fn program() -> PathBuf {
    let workspace = kit::workspace();
    let source = workspace.join("testing/conformance/src/probe.c");
    let built = workspace.join("target/tmp/conformance-probe");
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).expect("it is there");
    if !built.exists() || modified(&built) < modified(&source) {
        fs::create_dir_all(workspace.join("target/tmp")).expect("the folder can be made");
        // Tests run beside each other: each compiles aside, and the last rename wins.
        let aside = built.with_extension(std::process::id().to_string());
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-O1", "-w", "-o"]).arg(&aside).arg(&source);
        assert!(compiler.status().expect("cc starts").success(), "the program does not compile");
        fs::rename(aside, &built).expect("the folder can be written");
    }
    built
}

/// Writes the layout; returns its folder. The layer is also there as `layer.tar`.
pub fn write(dir: &Path, program: &Path) -> PathBuf {
    let layer = layer(&fs::read(program).expect("it was compiled"));
    fs::write(dir.join("layer.tar"), &layer).expect("the folder can be written");
    let settings = json!({
        "Entrypoint": ["/bin/probe"],
        "Cmd": ["say", "the image's own command"],
        "Env": ["PATH=/bin", "FROM=image", "WHO=image"],
        "ExposedPorts": { "9000/tcp": {} },
        "WorkingDir": "/srv",
        "StopSignal": "SIGTERM",
    });
    let folder = dir.join("image");
    kit::image::write_layout(&folder, IMAGE, &settings, &layer).expect("the folder can be written");
    folder
}

fn layer(program: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind, mode, bytes: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if let Some(link) = link {
            header.set_link_name(link).expect("a short name");
        }
        builder.append_data(&mut header, path, bytes).expect("a vector takes all");
    };
    for folder in ["bin/", "etc/", "srv/", "srv/data/", "home/", "home/web/", "root/"] {
        add(folder, tar::EntryType::Directory, 0o755, b"", None);
    }
    add("tmp/", tar::EntryType::Directory, 0o1777, b"", None);
    add("bin/probe", tar::EntryType::Regular, 0o755, program, None);
    // The same program with the set-user-id bit: what no-new-privileges takes away.
    add("bin/probe-suid", tar::EntryType::Regular, 0o4755, program, None);
    add("bin/sh", tar::EntryType::Symlink, 0o777, b"", Some("probe"));
    // A link that leads out of the image, for mounts that might follow it.
    add("srv/out", tar::EntryType::Symlink, 0o777, b"", Some("/../../../../../../etc"));
    add("etc/passwd", tar::EntryType::Regular, 0o644, PASSWD, None);
    add("etc/group", tar::EntryType::Regular, 0o644, GROUP, None);
    add("srv/data/given", tar::EntryType::Regular, 0o644, b"by the image\n", None);
    builder.into_inner().expect("a vector takes all")
}
