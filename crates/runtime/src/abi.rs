//! Whether an image has programs for the 32-bit half of this processor.
//!
//! The filter of system calls is compiled for each container anew, and to compile it for both halves takes four times as
//! long as for one: 4 ms of a start that takes 20. So a container gets the second half only if its image can use it. One
//! that executes a 32-bit program in spite of that is stopped by the kernel with SIGSYS: a static one, that is, which is
//! not the container's own first program.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::users::open_inside;

/// What loads dynamic 32-bit programs: the GNU C library's and musl's.
#[cfg(not(target_arch = "aarch64"))]
const LOADERS: [&str; 2] = ["ld-linux.so.2", "ld-musl-i386.so.1"];
#[cfg(target_arch = "aarch64")]
const LOADERS: [&str; 3] = ["ld-linux-armhf.so.3", "ld-linux.so.3", "ld-musl-armhf.so.1"];

const LIBRARY_FOLDERS: [&str; 4] = ["lib", "usr/lib", "lib32", "usr/lib32"];

/// The first bytes of an ELF file of class 32.
const HEAD_32_BIT: [u8; 5] = *b"\x7fELF\x01";

/// Has a layer, the topmost first, a loader for such programs, or is the container's own program one?
pub fn has_32_bit_programs(layers: &[PathBuf], program: &str, env: &[String]) -> bool {
    let has_loader = |layer: &PathBuf| {
        let names = LIBRARY_FOLDERS.iter().flat_map(|folder| LOADERS.map(|loader| Path::new(folder).join(loader)));
        names.into_iter().any(|name| open_inside(layer, &name, libc::O_PATH | libc::O_NOFOLLOW).is_ok())
    };
    layers.iter().any(has_loader) || candidates(program, env).iter().any(|path| is_32_bit(layers, path))
}

/// Where the program may be, without the leading slash.
fn candidates(program: &str, env: &[String]) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program.trim_start_matches('/'))];
    }
    let path = env.iter().rev().find_map(|pair| pair.strip_prefix("PATH="));
    let path = path.unwrap_or(crate::spec_json::PATH_DEFAULT);
    path.split(':').map(|dir| Path::new(dir.trim_start_matches('/')).join(program)).collect()
}

/// The file as the container sees it: in the topmost layer that has it.
fn is_32_bit(layers: &[PathBuf], path: &Path) -> bool {
    let file = layers.iter().find_map(|layer| open_inside(layer, path, libc::O_RDONLY | libc::O_NONBLOCK).ok());
    let mut head = [0; 5];
    file.is_some_and(|mut file| file.read_exact(&mut head).is_ok()) && head == HEAD_32_BIT
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = dir.path().join("top").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let layers = ["top", "bottom"].map(|layer| dir.path().join(layer));
        layers.iter().for_each(|layer| fs::create_dir_all(layer).unwrap());
        (dir, layers.into())
    }

    #[test]
    fn programs_are_told_by_their_heads_and_images_by_their_loaders() {
        let own = |path: &str| vec![format!("PATH={path}")];
        let (_dir, layers) =
            image(&[("bin/wide", b"\x7fELF\x02..."), ("opt/narrow", b"\x7fELF\x01..."), ("bin/script", b"#!")]);
        for (program, path, expected) in [
            ("wide", "/bin", false),
            ("script", "/bin", false),
            ("/bin/missing", "", false),
            ("narrow", "/bin", false),
            ("narrow", "/bin:/opt", true),
            ("/opt/narrow", "", true),
        ] {
            assert_eq!(has_32_bit_programs(&layers, program, &own(path)), expected, "{program} in {path}");
        }
        let (_dir, layers) = image(&[(&format!("usr/lib/{}", LOADERS[0]), b"")]);
        assert!(has_32_bit_programs(&layers, "wide", &[]));
    }
}
