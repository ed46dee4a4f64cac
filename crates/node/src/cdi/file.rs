//! A file of the Container Device Interface, as it is written. JSON is YAML too, so one reader does for both.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

use crate::limits::CDI_DEPTH_MAX;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    cdi_version: String,
    /// `vendor.com/class`.
    pub kind: String,
    pub devices: Vec<DeviceEntry>,
    #[serde(default)]
    pub container_edits: ContainerEdits,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceEntry {
    pub name: String,
    #[serde(default)]
    pub container_edits: ContainerEdits,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ContainerEdits {
    pub env: Vec<String>,
    pub device_nodes: Vec<DeviceNode>,
    pub mounts: Vec<MountEntry>,
    pub hooks: Vec<HookEntry>,
    pub additional_gids: Vec<u32>,
    pub intel_rdt: Option<Value>,
    pub net_devices: Vec<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceNode {
    pub path: String,
    host_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub file_mode: Option<u32>,
    pub permissions: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl DeviceNode {
    /// Where the machine has it, which is where the container has it unless something else is said.
    pub fn host_path(&self) -> &str {
        if self.host_path.is_empty() { &self.path } else { &self.host_path }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountEntry {
    pub host_path: String,
    pub container_path: String,
    pub options: Vec<String>,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookEntry {
    pub hook_name: String,
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub timeout: Option<i64>,
}

/// Versions in which all that is read here means the same.
const VERSIONS: [&str; 8] = ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"];

pub fn parse(text: &str) -> Result<File, String> {
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    let [document] = documents.as_slice() else { return Err("it does not hold one document".to_owned()) };
    let file: File = serde_json::from_value(json(document, CDI_DEPTH_MAX)?).map_err(|error| error.to_string())?;
    if !VERSIONS.contains(&file.cdi_version.as_str()) {
        return Err(format!("its version {:?} is not known", file.cdi_version));
    }
    let paths = |edits: &ContainerEdits| {
        let nodes = edits.device_nodes.iter().flat_map(|node| [node.path.as_str(), node.host_path()]);
        let mounts = edits.mounts.iter().flat_map(|mount| [mount.host_path.as_str(), mount.container_path.as_str()]);
        let hooks = edits.hooks.iter().map(|hook| hook.path.as_str());
        nodes.chain(mounts).chain(hooks).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = file.devices.iter().map(|device| &device.container_edits).chain([&file.container_edits]);
    let odd = all.flat_map(paths).find(|path| !path.starts_with('/'));
    match odd {
        Some(path) => Err(format!("the path {path:?} is not absolute")),
        None => Ok(file),
    }
}

fn json(yaml: &Yaml, depth: u32) -> Result<Value, String> {
    let deeper = || depth.checked_sub(1).ok_or("it is nested too deeply");
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => Value::Bool(*value),
        Yaml::Integer(value) => Value::Number((*value).into()),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            number.map_or_else(|| Value::String(text.clone()), Value::Number)
        }
        Yaml::String(text) => Value::String(text.clone()),
        Yaml::Array(list) => {
            let depth = deeper()?;
            Value::Array(list.iter().map(|one| json(one, depth)).collect::<Result<_, _>>()?)
        }
        Yaml::Hash(map) => {
            let depth = deeper()?;
            let mut members = Map::new();
            for (name, value) in map {
                let name = name.as_str().ok_or("a member's name is not a text")?;
                // As JSON and Go have it, a member without a value is one that is not there.
                if !value.is_null() {
                    members.insert(name.to_owned(), json(value, depth)?);
                }
            }
            Value::Object(members)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("a value cannot be read".to_owned()),
    })
}
