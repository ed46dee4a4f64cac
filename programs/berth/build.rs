//! Puts the small programs and the sample images into `berth`, when `BERTH_PARTS` names the folder that `cargo xtask dist`
//! made. Without it, as in a plain `cargo build`, the programs are looked for beside the executable.

use std::path::PathBuf;
use std::{env, fs};

const PARTS: [(&str, &str); 4] = [
    ("SHIM", "berth-shim"),
    ("OCI_RUNTIME", "berth-oci"),
    ("SAMPLE_1", "hello-world-1.tar"),
    ("SAMPLE_2", "hello-world-2.tar"),
];

fn main() {
    println!("cargo::rerun-if-env-changed=BERTH_PARTS");
    let folder = env::var_os("BERTH_PARTS").map(PathBuf::from);
    let mut source = String::new();
    for (constant, file) in PARTS {
        let part = match &folder {
            Some(folder) => {
                let path = folder.join(file);
                println!("cargo::rerun-if-changed={}", path.display());
                format!("Some(include_bytes!({:?}))", path.display().to_string())
            }
            None => "None".to_owned(),
        };
        source.push_str(&format!("pub const {constant}: Option<&[u8]> = {part};\n"));
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("parts.rs"), source).expect("OUT_DIR can be written");
}
