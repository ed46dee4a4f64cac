//! `docs/conformance.md`, as a text.

use crate::{Case, ELSEWHERE, Elsewhere, Page, groups};

const HEAD: &str = "\
<!-- Made from testing/conformance by its test `docs`; do not edit. -->
# Conformance

What a task definition can say about a container, and the test that runs it: a real container started by RunTask, looked at from inside and from
outside. All of them run against one `berth up` with

```sh
make build && cargo nextest run -p conformance
CONFORMANCE=stop_timeout cargo nextest run -p conformance --no-capture     # those with this in their names
```

What is refused or different is in [limitations.md](limitations.md), and what the official agent does beside ours in [parity.md](parity.md).
";

pub fn render() -> String {
    let mut text = HEAD.to_owned();
    let total: usize = groups().iter().map(|(_, cases)| cases.len()).sum();
    text.push_str(&format!("\n{total} features, and {} that are shown elsewhere.\n", ELSEWHERE.len()));
    for (title, cases) in groups() {
        text.push_str(&format!("\n## {title}\n\n| feature | documented in | test |\n|---|---|---|\n"));
        for Case { name, feature, page, .. } in &cases {
            text.push_str(&format!("| {feature} | {} | `{name}` |\n", words(*page)));
        }
    }
    text.push_str("\n## Elsewhere\n\nWhat needs more than one Berth and one task.\n\n");
    text.push_str("| feature | documented in | test | in |\n|---|---|---|---|\n");
    for Elsewhere { feature, page, file, test } in ELSEWHERE {
        text.push_str(&format!("| {feature} | {} | `{test}` | `{file}` |\n", words(*page)));
    }
    text
}

fn words(page: Page) -> String {
    match page {
        Page::Parameters(section) => format!("Developer Guide, task definition parameters: {section}"),
        Page::Api(data_type) => format!("API Reference: `{data_type}`"),
        Page::Guide(title) => format!("Developer Guide: {title}"),
        Page::Docker(title) => format!("Docker: {title}"),
        Page::Berth(path) => format!("[{path}]({path})"),
    }
}
