//! How things of the model are called in Rust.

/// `clusterArn` becomes `cluster_arn`, `EFSVolumeConfiguration` becomes `efs_volume_configuration`, `ARNs` is `arns`.
pub fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !out.ends_with('_') && !out.is_empty() {
                out.push('_');
            }
            continue;
        }
        if c.is_ascii_uppercase() && at > 0 && !out.ends_with('_') && starts_word(&chars, at) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out.trim_end_matches('_').to_owned()
}

fn starts_word(chars: &[char], at: usize) -> bool {
    if !chars[at - 1].is_ascii_uppercase() {
        return true;
    }
    let Some(next) = chars.get(at + 1) else { return false };
    let plural = *next == 's' && chars.get(at + 2).is_none_or(|c| c.is_ascii_uppercase());
    next.is_ascii_lowercase() && !plural
}

/// The name of a schema or constant. A leading digit gets an underscore.
pub fn screaming(name: &str) -> String {
    let name = snake(name).to_ascii_uppercase();
    match name.chars().next() {
        None => "EMPTY".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name,
    }
}

/// The name of an enum value's constant. `EC2` and `fargate.windows` are not camel case, so only signs are replaced.
pub fn value(name: &str) -> String {
    let shouted = !name.chars().any(|c| c.is_ascii_lowercase());
    if !shouted {
        return screaming(name);
    }
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        _ => name,
    }
}

/// A field or method.
pub fn field(name: &str) -> String {
    escaped(snake(name))
}

/// A struct or enum: the model's own name, with a capital.
pub fn structure(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn escaped(name: String) -> String {
    const KEYWORDS: [&str; 22] = [
        "abstract", "as", "box", "const", "default", "do", "enum", "final", "for", "if", "in", "loop", "match", "mod",
        "move", "override", "ref", "static", "type", "use", "where", "yield",
    ];
    // `default` is a word only in some places, and reads better bare.
    if name != "default" && KEYWORDS.contains(&name.as_str()) { format!("r#{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case() {
        for (name, expected) in [
            ("clusterArn", "cluster_arn"),
            ("EFSVolumeConfiguration", "efs_volume_configuration"),
            ("privateIPv4Address", "private_i_pv4_address"),
            ("ipv6Addresses", "ipv6_addresses"),
            ("ARNs", "arns"),
            ("SubnetIDsList", "subnet_ids_list"),
            ("RegisterTaskDefinition", "register_task_definition"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn constants() {
        assert_eq!(value("EC2"), "EC2");
        assert_eq!(value("SYS_ADMIN"), "SYS_ADMIN");
        assert_eq!(value("awslogs"), "AWSLOGS");
        assert_eq!(value("json-file"), "JSON_FILE");
        assert_eq!(value("x86_64"), "X86_64");
        assert_eq!(field("type"), "r#type");
    }
}
