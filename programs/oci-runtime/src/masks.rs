//! A condition of the system call filter that libcontainer reads the other way round.
//!
//! In `SCMP_CMP_MASKED_EQ` the first value is the mask and the second what has to be left of the argument: so runc and crun
//! have it. libcontainer takes the second for the mask. Docker's condition for `clone`, that no flag of a namespace is set,
//! has zero there, and a mask of zero is true of everything. What it reads is therefore written as it understands it.

use serde_json::{Value, json};

/// Says that it was done, in the configuration itself: a bundle may be read twice.
const NOTE: &str = "berth.masks";

/// Exchanges the two values of each such condition. False when there is nothing to exchange, or it was done before.
pub fn turn(config: &mut Value) -> bool {
    if config["annotations"][NOTE] == "turned" {
        return false;
    }
    let mut turned = false;
    let syscalls = config.pointer_mut("/linux/seccomp/syscalls").and_then(Value::as_array_mut);
    for args in syscalls.into_iter().flatten().filter_map(|rule| rule.get_mut("args")?.as_array_mut()) {
        for arg in args.iter_mut().filter(|arg| arg["op"] == "SCMP_CMP_MASKED_EQ") {
            let (mask, rest) = (arg["value"].clone(), arg["valueTwo"].as_u64().unwrap_or(0));
            arg["value"] = json!(rest);
            arg["valueTwo"] = mask;
            turned = true;
        }
    }
    if turned {
        config["annotations"][NOTE] = json!("turned");
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_turned_once() {
        let arg =
            |value: u64, two: u64| json!({ "index": 0, "value": value, "valueTwo": two, "op": "SCMP_CMP_MASKED_EQ" });
        let other = json!({ "index": 0, "value": 40, "op": "SCMP_CMP_NE" });
        let rules =
            |masked: Value| json!([{ "names": ["clone"], "args": [masked] }, { "names": ["socket"], "args": [other] }]);
        let mut config = json!({ "linux": { "seccomp": { "syscalls": rules(arg(0x7e02_0000, 0)) } } });
        assert!(turn(&mut config));
        assert_eq!(config["linux"]["seccomp"]["syscalls"], rules(arg(0, 0x7e02_0000)));
        assert!(!turn(&mut config));
        assert!(!turn(&mut json!({ "linux": {} })));
    }
}
