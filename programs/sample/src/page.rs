//! The page for people: one file of HTML, filled with what this copy of the application knows of itself.

use crate::identity::Identity;

const TEMPLATE: &str = include_str!("page.html");

pub fn render(who: &Identity) -> String {
    let or_dash = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).unwrap_or("–").to_owned();
    // Two looks for two versions, so that a deployment can be seen from across the room; a third turns on.
    let look = match who.version.as_str() {
        "1" => "harbour".to_owned(),
        "2" => "sunset".to_owned(),
        _ => "forest".to_owned(),
    };
    let values = [
        ("look", look),
        ("version", who.version.clone()),
        ("task", who.task.clone()),
        ("task_definition", or_dash(&who.task_definition)),
        ("cluster", or_dash(&who.cluster)),
        ("instance", or_dash(&who.instance)),
        ("hostname", who.hostname.clone()),
        ("zone", or_dash(&who.availability_zone)),
    ];
    // One pass from left to right: a value that looks like a place for another stays as it is.
    let mut page = String::with_capacity(TEMPLATE.len() + 256);
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the template closes what it opens");
        let (_, value) = values.iter().find(|(known, _)| *known == name).expect("the template names what we have");
        page.push_str(before);
        page.push_str(&escape(value));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Safe between tags and inside quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_filled_in_and_nothing_breaks_out() {
        let who = Identity { version: "2".into(), task: "<script>{{task}}".into(), ..Identity::default() };
        let page = render(&who);
        assert!(page.contains("&lt;script&gt;{{task}}") && !page.contains("<script>{{"));
        assert!(page.contains("class=\"sunset\""));
        assert!(page.contains("–"));
    }

    #[test]
    fn versions_look_different() {
        let look = |version: &str| render(&Identity { version: version.into(), ..Identity::default() });
        assert_ne!(look("1").replace(">1<", "><"), look("2").replace(">2<", "><"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!TEMPLATE.contains(outside), "{outside}");
        }
    }
}
