//! Finds botocore and reads its service models.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

pub struct Models {
    data: PathBuf,
}

const WHERE: &str = "import botocore, os; print(botocore.__version__); print(os.path.dirname(botocore.__file__))";

impl Models {
    /// Those of the pinned version: the machine's if it is that one, else one fetched from PyPI into `target/`, where it
    /// is nobody's but ours.
    pub fn find(workspace: &Path, pinned: &str) -> Result<Models> {
        if let Some(folder) = installed(pinned) {
            return Ok(Models { data: folder.join("data") });
        }
        let place = workspace.join(format!("target/botocore/{pinned}"));
        let data = place.join("botocore/data");
        if !data.exists() {
            fetch(&place, pinned)?;
        }
        Ok(Models { data })
    }

    /// The newest version of a service's model.
    pub fn load(&self, service: &str) -> Result<Model> {
        let folder = self.data.join(service);
        let mut versions: Vec<PathBuf> = fs::read_dir(&folder)
            .with_context(|| format!("botocore has no service {service}"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        versions.sort();
        let newest = versions.pop().with_context(|| format!("{} is empty", folder.display()))?;
        let packed = newest.join("service-2.json.gz");
        let mut text = String::new();
        if packed.exists() {
            flate2::read::GzDecoder::new(fs::File::open(&packed)?)
                .read_to_string(&mut text)
                .with_context(|| format!("failed to unpack {}", packed.display()))?;
        } else {
            text = fs::read_to_string(newest.join("service-2.json"))?;
        }
        serde_json::from_str(&text).with_context(|| format!("failed to parse the model of {service}"))
    }
}

#[derive(Deserialize)]
pub struct Model {
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub endpoint_prefix: String,
    #[serde(default)]
    pub json_version: String,
    pub protocol: String,
    pub service_full_name: String,
    pub service_id: String,
    pub signing_name: Option<String>,
    #[serde(default)]
    pub target_prefix: String,
    #[serde(default)]
    pub xml_namespace: String,
}

#[derive(Deserialize)]
pub struct Operation {
    pub http: Http,
    pub input: Option<Reference>,
    pub output: Option<Reference>,
    #[serde(default)]
    pub errors: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

/// A use of a shape, with the traits of that use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub query_name: Option<String>,
    pub result_wrapper: Option<String>,
    pub timestamp_format: Option<String>,
    #[serde(default)]
    pub streaming: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub members: Ordered<Reference>,
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    pub member: Option<Reference>,
    pub key: Option<Reference>,
    pub value: Option<Reference>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    pub payload: Option<String>,
    pub timestamp_format: Option<String>,
    pub error: Option<ErrorTrait>,
    #[serde(default)]
    pub document: bool,
    #[serde(default)]
    pub eventstream: bool,
    #[serde(default)]
    pub exception: bool,
    #[serde(default)]
    pub fault: bool,
    #[serde(default)]
    pub flattened: bool,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default)]
    pub streaming: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorTrait {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
    #[serde(default)]
    pub sender_fault: bool,
}

/// A JSON object in the order of its file, so that generated members stand in the order of the AWS documentation.
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// The folder of the package that python3 imports, if it has this version.
fn installed(version: &str) -> Option<PathBuf> {
    let output = Command::new("python3").args(["-c", WHERE]).output().ok().filter(|output| output.status.success())?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let (found, folder) = answer.trim_end().split_once('\n')?;
    (found == version).then(|| PathBuf::from(folder))
}

/// Aside and renamed: two that fetch at once, or one that is killed, leave nothing that is half there.
fn fetch(place: &Path, version: &str) -> Result<()> {
    let aside = place.with_extension(format!("new-{}", std::process::id()));
    let fetched = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(&aside)
        .arg(format!("botocore=={version}"))
        .output()
        .context("failed to run python3")?;
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr);
        bail!("botocore {version}, which api/operations.toml pins, could not be fetched: {}", said.trim());
    }
    match fs::rename(&aside, place) {
        Err(_) if place.exists() => Ok(fs::remove_dir_all(&aside)?),
        renamed => renamed.with_context(|| format!("failed to rename {}", aside.display())),
    }
}
