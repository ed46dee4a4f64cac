//! Finds botocore and reads its service models.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

pub struct Models {
    data: PathBuf,
}

const WHERE: &str = "import botocore, os; print(botocore.__version__); print(os.path.dirname(botocore.__file__))";

#[cfg(test)]
pub fn is_installed() -> bool {
    ask().is_ok()
}

fn ask() -> Result<String> {
    let output = Command::new("python3").args(["-c", WHERE]).output().context("failed to run python3")?;
    if !output.status.success() {
        bail!("python3 cannot import botocore; install it with `python3 -m pip install botocore`");
    }
    Ok(String::from_utf8(output.stdout)?)
}

impl Models {
    /// Errors: botocore is not installed, or is not the pinned version.
    pub fn find(pinned: &str) -> Result<Models> {
        let answer = ask()?;
        let mut lines = answer.lines();
        let version = lines.next().unwrap_or_default();
        let folder = lines.next().context("python3 did not say where botocore is")?;
        if version != pinned {
            bail!(
                "botocore {version} is installed, but api/operations.toml pins {pinned}: \
                 run `python3 -m pip install botocore=={pinned}`, or move the pin and commit what codegen then writes"
            );
        }
        Ok(Models { data: PathBuf::from(folder).join("data") })
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
