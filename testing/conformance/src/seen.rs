//! What a container sees of itself and of what is around it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::pairs;

/// What the program prints when it is told to `inspect`.
pub struct Seen(Value);

impl Seen {
    pub fn read(output: &str) -> Seen {
        // A log takes long lines in pieces.
        let from = output.find('{').unwrap_or_else(|| panic!("it did not look: {output:?}"));
        let text = output[from..].replace('\n', "");
        Seen(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    pub fn value(&self, name: &str) -> &Value {
        &self.0[name]
    }

    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn number(&self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn words(&self, name: &str) -> Vec<String> {
        let list = self.0[name].as_array().unwrap_or_else(|| panic!("no {name}"));
        list.iter().map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect()
    }

    pub fn env(&self) -> BTreeMap<String, String> {
        pairs(&self.words("env"))
    }

    /// A line of `/proc/self/status`.
    pub fn status(&self, field: &str) -> &str {
        let line = self.text("status").lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field}")).trim()
    }

    /// A mask of capabilities: `CapEff`, `CapBnd` …
    pub fn capabilities(&self, field: &str) -> u64 {
        u64::from_str_radix(self.status(field), 16).expect("a mask is hexadecimal")
    }

    /// The mount at a place: its options, its file system's type, and that one's options.
    pub fn mount(&self, target: &str) -> Option<(String, String, String)> {
        self.text("mounts").lines().rev().find_map(|line| {
            let (own, system) = line.split_once(" - ")?;
            let own: Vec<&str> = own.split(' ').collect();
            let system: Vec<&str> = system.split(' ').collect();
            (own[4] == target).then(|| (own[5].to_owned(), system[0].to_owned(), system[2].to_owned()))
        })
    }

    /// Soft and hard; -1 is unlimited.
    pub fn limit(&self, name: &str) -> (i64, i64) {
        let pair = &self.0["limits"][name];
        (pair[0].as_i64().expect("a soft limit"), pair[1].as_i64().expect("a hard limit"))
    }

    pub fn namespace(&self, kind: &str) -> &str {
        self.0["namespaces"][kind].as_str().expect("a namespace")
    }
}
