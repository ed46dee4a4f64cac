//! Archives of images as bytes.

use blobs::Digest;
use serde_json::{Value, json};

use super::image::{Built, image};
use super::tar::{Header, Tar};

pub fn plain_layers() -> [Vec<u8>; 2] {
    [Tar::new().file("base", "base").end(), Tar::new().file("app", "app").end()]
}

pub fn put(tar: Tar, path: &str, bytes: &[u8]) -> Tar {
    tar.entry(Header::new(b'0', path), bytes)
}

/// What `docker save` of an engine before 25 writes: layers in folders of their own, the list at the end.
pub fn docker_save(tags: Value) -> Vec<u8> {
    let [base, app] = plain_layers();
    let built = image(&[base.clone(), app.clone(), base.clone()]);
    let config = format!("{}.json", Digest::of(&built.config).hex());
    let layers = ["one/layer.tar", "two/layer.tar", "three/layer.tar"];
    let tar = Tar::new().dir("one").file("one/VERSION", "1.0").file("one/json", "{}");
    let tar = put(put(tar, layers[0], &base), layers[1], &app).symlink(layers[2], "../one/layer.tar");
    let tar = put(tar, &config, &built.config);
    let list = json!([{"Config": config, "RepoTags": tags, "Layers": layers}]);
    put(tar, "manifest.json", list.to_string().as_bytes()).file("repositories", "{}").end()
}

/// The files of an OCI layout.
pub fn layout(images: &[&Built], others: &[&[u8]], entries: Vec<Value>) -> Vec<(String, Vec<u8>)> {
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes.to_vec());
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    for image in images {
        files.extend(image.blobs().into_iter().chain([&image.manifest]).map(|bytes| blob(bytes)));
    }
    files.extend(others.iter().map(|bytes| blob(bytes)));
    files.push(("index.json".to_owned(), json!({"schemaVersion": 2, "manifests": entries}).to_string().into_bytes()));
    files
}

pub fn in_tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    files.iter().fold(Tar::new(), |tar, (path, bytes)| put(tar, path, bytes)).end()
}
