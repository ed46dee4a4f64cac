//! The option `tag`: a template of Go's, of which Docker's log drivers know a few words.

use crate::subject::Subject;

/// What a tag is when none is given.
pub(crate) const DEFAULT: &str = "{{.ID}}";

/// A template that Docker would refuse when it starts a container, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("template: log-tag:1: unclosed action")]
    Unclosed,
    #[error("template: log-tag:1: function {0:?} not defined")]
    Function(String),
    #[error(
        "template: log-tag:1:{column}: executing \"log-tag\" at <.{field}>: can't evaluate field {field} in type *logger.Info"
    )]
    Field { column: usize, field: String },
    #[error("template: log-tag:1: unexpected {0:?} in operand")]
    Operand(String),
}

/// `{{.Name}}/{{.ID}}` of one container.
pub(crate) fn expand(template: Option<&str>, subject: &Subject) -> Result<String, TagError> {
    let template = template.filter(|template| !template.is_empty()).unwrap_or(DEFAULT);
    let mut tag = String::new();
    let mut rest = template;
    while let Some(begin) = rest.find("{{") {
        tag.push_str(&rest[..begin]);
        let column = template.len() - rest.len() + begin + 2;
        let (action, behind) = rest[begin + 2..].split_once("}}").ok_or(TagError::Unclosed)?;
        tag.push_str(&evaluate(action.trim(), column, subject)?);
        rest = behind;
    }
    tag.push_str(rest);
    Ok(tag)
}

fn evaluate(action: &str, column: usize, subject: &Subject) -> Result<String, TagError> {
    let words: Vec<&str> = action.split_whitespace().collect();
    let field = |word: &str| match word.strip_prefix('.') {
        Some(name) => value(name, subject).ok_or_else(|| TagError::Field { column, field: name.to_owned() }),
        None => Err(TagError::Operand(word.to_owned())),
    };
    match words.as_slice() {
        [one] if one.starts_with('.') => field(one),
        ["lower", one] => Ok(field(one)?.to_lowercase()),
        ["upper", one] => Ok(field(one)?.to_uppercase()),
        ["index", ".ContainerLabels", label] => {
            let label = label.trim_matches(['"', '`']);
            Ok(subject.labels.get(label).cloned().unwrap_or_default())
        }
        [] => Err(TagError::Operand(String::new())),
        [word, ..] => Err(TagError::Function((*word).to_owned())),
    }
}

/// Source: Docker's documentation, "Customize log driver output".
fn value(name: &str, subject: &Subject) -> Option<String> {
    Some(match name {
        "ID" => subject.short_id().to_owned(),
        "FullID" | "ContainerID" => subject.id.clone(),
        "Name" => subject.name.clone(),
        "ContainerName" => format!("/{}", subject.name),
        "ImageID" => subject.short_image_id().to_owned(),
        "ImageFullID" | "ContainerImageID" => subject.image_id.clone(),
        "ImageName" | "ContainerImageName" => subject.image_name.clone(),
        "Command" => subject.command.join(" "),
        "Hostname" => subject.hostname.clone(),
        "DaemonName" => "docker".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let subject = Subject {
            id: "0123456789abcdef".repeat(4),
            name: "ecs-web-1-app-cafe".into(),
            image_id: format!("sha256:{}", "f".repeat(64)),
            image_name: "nginx:1".into(),
            command: vec!["/bin/sh".into(), "-c".into(), "true".into()],
            hostname: "node".into(),
            labels: [("team".to_owned(), "Web".to_owned())].into(),
            ..Subject::default()
        };
        let found = expand(Some(template), &subject).map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{template}");
    }

    #[test]
    fn tags() {
        check("", Ok("0123456789ab"));
        check("plain", Ok("plain"));
        check("{{.ImageName}}/{{ .Name }}/{{.ID}}!", Ok("nginx:1/ecs-web-1-app-cafe/0123456789ab!"));
        check("{{.ImageID}} {{.DaemonName}} {{.Command}}", Ok("sha256:fffff docker /bin/sh -c true"));
        check("{{.ContainerName}} {{upper .Hostname}}", Ok("/ecs-web-1-app-cafe NODE"));
        check("{{index .ContainerLabels \"team\"}}{{index .ContainerLabels \"no\"}}", Ok("Web"));
        let whole = "0123456789abcdef".repeat(4);
        check("{{.FullID}}", Ok(&whole));
        check("x {{.ID", Err("template: log-tag:1: unclosed action"));
        check("{{shout .ID}}", Err("template: log-tag:1: function \"shout\" not defined"));
        check(
            "a {{.Foo}}",
            Err(
                "template: log-tag:1:4: executing \"log-tag\" at <.Foo>: can't evaluate field Foo in type *logger.Info",
            ),
        );
        check("{{}}", Err("template: log-tag:1: unexpected \"\" in operand"));
    }
}
