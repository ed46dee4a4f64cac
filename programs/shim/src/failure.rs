//! Why an OCI runtime failed, from the log it was told to write.

/// The message of the last line whose level is error or worse. Runtimes write one flat JSON object a line.
pub fn last_error(log: &str) -> Option<String> {
    log.lines().rev().find_map(|line| {
        let level = string_field(line, "level")?;
        matches!(level.as_str(), "error" | "fatal" | "panic").then(|| string_field(line, "msg")).flatten()
    })
}

/// One line as [`last_error`] reads it.
pub fn error_line(message: &str) -> String {
    let mut text = String::new();
    for char in message.chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            char if char < ' ' => text.push(' '),
            char => text.push(char),
        }
    }
    format!("{{\"level\":\"error\",\"msg\":\"{text}\"}}\n")
}

/// The value of a string field of a flat JSON object.
fn string_field(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    loop {
        let (key, after) = next_string(rest)?;
        let after = after.trim_start();
        match after.strip_prefix(':') {
            Some(value) if key == name => return next_string_here(value.trim_start()).map(|(value, _)| value),
            // The value may itself be a string that looks like a key; step over it.
            Some(value) => rest = next_string_here(value.trim_start()).map_or(value, |(_, after)| after),
            None => rest = after,
        }
    }
}

fn next_string(text: &str) -> Option<(String, &str)> {
    next_string_here(&text[text.find('"')?..])
}

/// A JSON string at the very start of `text`, and what follows it.
fn next_string_here(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut out = String::new();
    loop {
        match chars.next()? {
            '"' => return Some((out, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' | 'f' => out.push(' '),
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    // Half of a surrogate pair is no character, and none of our runtimes writes them.
                    out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?).unwrap_or('\u{fffd}'));
                    chars = chars.as_str()[4..].chars();
                }
                char => out.push(char),
            },
            char => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtimes_log_is_understood() {
        let runc = r#"{"level":"warning","msg":"x","time":"t"}
{"level":"error","msg":"runc create failed: exec: \"nope\": executable file not found in $PATH","time":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(last_error(runc).unwrap(), "runc create failed: exec: \"nope\": executable file not found in $PATH");
        let crun = r#"{ "msg": "a \u003c b", "level": "error", "time": "2026" }"#;
        assert_eq!(last_error(crun).unwrap(), "a < b");
        assert_eq!(last_error("{\"level\":\"warning\",\"msg\":\"error\"}"), None);
        assert_eq!(last_error("no json \"level"), None);
    }

    #[test]
    fn our_own_line_reads_back() {
        let message = "mount overlay on \"/x\\y\":\nno such file";
        assert_eq!(last_error(&error_line(message)).unwrap(), "mount overlay on \"/x\\y\": no such file");
    }
}
