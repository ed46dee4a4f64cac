//! A thing, its facts, the reasons, and what to do next.

use crate::person::paint::{Colour, Paint, of_status};

#[derive(Debug, Default)]
pub struct Story {
    pub title: String,
    /// The state in the title, which gives its colour.
    pub status: String,
    pub facts: Vec<(&'static str, String)>,
    pub why: Vec<String>,
    pub next: Vec<String>,
}

impl Story {
    pub fn new(title: String, status: &str) -> Story {
        Story { title, status: status.to_owned(), ..Story::default() }
    }

    /// Nothing is said about what is not known.
    pub fn fact(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.facts.push((name, text));
        }
    }

    pub fn why(&mut self, sentence: impl Into<String>) {
        add(&mut self.why, sentence.into());
    }

    pub fn next(&mut self, sentence: impl Into<String>) {
        add(&mut self.next, sentence.into());
    }

    pub fn render(&self, paint: Paint) -> String {
        let status = paint.text(&self.status, of_status(&self.status));
        let mut text = format!("{}: {status}\n", paint.text(&self.title, Some(Colour::Bold)));
        let width = self.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, fact) in &self.facts {
            text.push_str(&format!(
                "  {}{}  {fact}\n",
                paint.text(name, Some(Colour::Dim)),
                " ".repeat(width - name.len())
            ));
        }
        for (head, sentences) in [("Why", &self.why), ("Next", &self.next)] {
            if !sentences.is_empty() {
                text.push_str(&format!("\n{}\n", paint.text(head, Some(Colour::Bold))));
                text.extend(sentences.iter().map(|sentence| format!("  {sentence}\n")));
            }
        }
        text
    }
}

/// Each sentence once. Several containers often have one reason.
fn add(sentences: &mut Vec<String>, sentence: String) {
    if !sentence.is_empty() && !sentences.contains(&sentence) {
        sentences.push(sentence);
    }
}

/// A task definition is only a text; what runs of it is elsewhere.
pub fn of_family(name: &str) -> Story {
    let mut story = Story::new(format!("task definition {name}"), "ACTIVE");
    story.why("It is a description of tasks. What is to be explained is a task, a service or an instance.");
    story.next("`berth ps --all` shows the tasks that were made of it.");
    story
}
