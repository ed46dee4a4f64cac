//! What a container runs: the rules of `docker run`.

use agent_api::payload;
use images::ImageConfig;
use task_engine::Failure;

use crate::failure;

/// An entry point in the definition also drops the image's command, as it was made for another program.
pub fn args(container: &payload::Container, image: &ImageConfig) -> Result<Vec<String>, Failure> {
    let none = Vec::new();
    let (entry_point, command) = match container.entry_point.as_slice() {
        [] => (image.entrypoint.as_ref().unwrap_or(&none), image.command.as_ref().unwrap_or(&none)),
        _ => (&container.entry_point, &none),
    };
    let command = if container.command.is_empty() { command } else { &container.command };
    let args: Vec<String> = entry_point.iter().chain(command).cloned().collect();
    if args.is_empty() {
        return Err(failure::create("No command specified"));
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn check(given: (&str, &str), image: (&str, &str), expected: &str) {
        let container =
            payload::Container { entry_point: words(given.0), command: words(given.1), ..Default::default() };
        let some = |text: &str| Some(words(text)).filter(|words| !words.is_empty());
        let image = ImageConfig { entrypoint: some(image.0), command: some(image.1), ..Default::default() };
        let found = match args(&container, &image) {
            Ok(args) => args.join(" "),
            Err(failure) => failure.reason(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn definition_and_image_are_put_together_as_docker_does() {
        check(("", ""), ("/entry", "serve"), "/entry serve");
        check(("", "other -x"), ("/entry", "serve"), "/entry other -x");
        check(("/own", ""), ("/entry", "serve"), "/own");
        check(("/own", "now"), ("/entry", "serve"), "/own now");
        check(("", ""), ("", "serve"), "serve");
        check(("", ""), ("/entry", ""), "/entry");
        check(("", ""), ("", ""), "CannotCreateContainerError: Error response from daemon: No command specified");
    }
}
