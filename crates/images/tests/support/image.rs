//! Images as bytes: layers, configuration, manifest.

use std::io::Write;

use blobs::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::tar::{Header, Tar};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image as it travels.
#[derive(Clone, Debug)]
pub struct Built {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// Bytes that do not compress.
pub fn random(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A layer of one file that does not compress.
pub fn noise(seed: u32, length: usize) -> Vec<u8> {
    Tar::new().entry(Header::new(b'0', &format!("noise-{seed}")), &random(seed, length)).end()
}

/// An image of gzipped layers, lowest first, given as plain tars.
pub fn image(layers: &[Vec<u8>]) -> Built {
    let zipped = layers.iter().map(|layer| gzip(layer)).collect();
    image_of("amd64", zipped, layers.iter().map(|layer| Digest::of(layer)).collect())
}

/// An image of layers that travel as they are, with the digests that they shall have when plain.
pub fn image_of(architecture: &str, layers: Vec<Vec<u8>>, diff_ids: Vec<Digest>) -> Built {
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Cmd": ["/app"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    with_config(config, layers)
}

pub fn with_config(config: Value, layers: Vec<Vec<u8>>) -> Built {
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config),
        "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
    });
    Built { config, layers, manifest: manifest.to_string().into_bytes() }
}

/// An index of images, each with its platform.
pub fn index(images: &[(&Built, Value)]) -> Vec<u8> {
    let manifests: Vec<Value> = images
        .iter()
        .map(|(image, platform)| {
            let mut entry = descriptor(MANIFEST, &image.manifest);
            entry["platform"] = platform.clone();
            entry
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes()
}

impl Built {
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    pub fn blobs(&self) -> Vec<&Vec<u8>> {
        self.layers.iter().chain([&self.config]).collect()
    }
}
