//! `docs/stop-words.md`: each word is in the source that it is said to be in, and in the test that is said to show it.
//!
//! A row is `` | `word` | when | `source` | `test` | ``. In a word `…` stands for anything. A source is a file of the workspace. A
//! test is a function, or a golden plan of the reconcilers by the name of its file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const PAGE: &str = "docs/stop-words.md";

/// The head of the tables that are checked. The page's other tables are about words that nobody here says.
const HEAD: &str = "| word | when | source | test |";

/// And this one, whose tests have to be there.
const CODES_HEAD: &str = "| exit code | when | test |";

/// Where tests are.
const ROOMS: [&str; 4] = ["crates", "services", "programs", "testing"];

/// A page without words would pass, and mean nothing.
const WORDS_MIN: usize = 50;

#[derive(Debug, PartialEq)]
struct Row {
    word: String,
    sources: Vec<String>,
    tests: Vec<String>,
}

pub fn complaints(workspace: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.join(PAGE)).with_context(|| format!("failed to read {PAGE}"))?;
    let rows = rows(&text);
    let tests = tests(workspace)?;
    let mut complaints = Vec::new();
    if rows.len() < WORDS_MIN {
        complaints
            .push(format!("{PAGE}: {} words are fewer than {WORDS_MIN}: is the head still `{HEAD}`?", rows.len()));
    }
    for Row { word, sources, tests: names } in rows {
        let mut say = |what: String| complaints.push(format!("{PAGE}: `{word}`: {what}"));
        if names.is_empty() || sources.is_empty() != word.is_empty() {
            say("names no source, or no test".to_owned());
        }
        for source in sources {
            match fs::read_to_string(workspace.join(&source)) {
                Err(_) => say(format!("there is no {source}")),
                Ok(text) if !says(&text, &word) => say(format!("is not in {source}")),
                Ok(_) => {}
            }
        }
        for name in names {
            match tests.get(&name) {
                None => say(format!("there is no test {name}")),
                Some(texts) if !texts.iter().any(|text| mentions(text, &word)) => {
                    say(format!("the test {name} does not speak of it"));
                }
                Some(_) => {}
            }
        }
    }
    Ok(complaints)
}

fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut head = "";
    for line in page.lines() {
        if !line.starts_with('|') {
            head = "";
        } else if head.is_empty() {
            head = line;
        } else if !line.starts_with("|---") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let quoted = |at: usize| cells.get(at).map(|cell| quoted(cell)).unwrap_or_default();
            match head {
                HEAD => {
                    let word = quoted(0).into_iter().next().unwrap_or_default();
                    rows.push(Row { word, sources: quoted(2), tests: quoted(3) });
                }
                CODES_HEAD => rows.push(Row { word: String::new(), sources: Vec::new(), tests: quoted(2) }),
                _ => {}
            }
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every part of the word, between its `…`, is somewhere in this source.
fn says(source: &str, word: &str) -> bool {
    let source = unwrapped(source);
    parts(word).all(|part| source.contains(part))
}

/// At least its longest part, for a test may shorten a word.
fn mentions(test: &str, word: &str) -> bool {
    let test = unwrapped(test);
    let longest = parts(word).max_by_key(|part| part.len()).unwrap_or_default();
    if word.is_empty() {
        return true;
    }
    // The first words of it, as far as somebody would repeat them.
    let is_word = |text: &&str| text.contains(char::is_alphanumeric);
    let known: Vec<&str> = longest.split(' ').skip_while(|text| !is_word(text)).take(3).collect();
    !longest.is_empty() && test.contains(&known.join(" "))
}

fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split('…').map(str::trim).filter(|part| !part.is_empty())
}

/// With the string literals that go on in the next line in one piece, and without their escapes.
fn unwrapped(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        while let Some(begun) = line.strip_suffix('\\') {
            let Some(next) = lines.next() else { break };
            line = format!("{begun}{}", next.trim_start());
        }
        text.push_str(&line.replace("\\\"", "\""));
        text.push('\n');
    }
    text
}

/// The text of the file that each test is in, by the test's name.
fn tests(workspace: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files = Vec::new();
    for room in ROOMS {
        collect(&workspace.join(room), &mut files)?;
    }
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.entry(name).or_default().push(text);
            continue;
        }
        for name in functions(&text) {
            found.entry(name.to_owned()).or_default().push(text.clone());
        }
    }
    Ok(found)
}

fn functions(text: &str) -> Vec<&str> {
    let name = |line: &'_ str| -> Option<usize> {
        let rest = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ");
        rest.strip_prefix("fn ").map(|rest| line.len() - rest.len())
    };
    let of_line = |line| {
        let rest: &str = &line[name(line)?..];
        Some(&rest[..rest.find(['(', '<'])?])
    };
    text.lines().filter_map(of_line).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
        if path.is_dir() {
            collect(&path, files)?;
        } else if is("rs") || (is("txt") && folder.ends_with("tests/plans")) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read() {
        let page = "# Words\n| a | b |\n|---|---|\n| `x` | y |\n\n| word | when | source | test |\n|---|---|---|---|\n\
                    | `Host … gone` | now and `then` | `a.rs`, `b.rs` | `first` |\n\nend\n| `z` | | | |\n";
        let row = Row {
            word: "Host … gone".to_owned(),
            sources: vec!["a.rs".to_owned(), "b.rs".to_owned()],
            tests: vec!["first".to_owned()],
        };
        assert_eq!(rows(page), [row]);
    }

    #[test]
    fn a_word_is_found_over_the_ends_of_lines() {
        let source = "let text = format!(\"Host {id} \\\n    is \\\"gone\\\" by now\");\n";
        assert!(says(source, "Host … is \"gone\" by now"));
        assert!(!says(source, "Host … is lost"));
        assert!(mentions("assert!(text.contains(\"is \\\"gone\\\" by\"));", "Host … is \"gone\" by now"));
        assert!(!mentions("nothing", "Host … is \"gone\" by now"));
    }

    #[test]
    fn tests_are_found_by_name() {
        let text = "#[test]\nfn one() {}\n    async fn two<T>(x: T) {}\npub fn three(\nlet fn_four = 1;\n";
        assert_eq!(functions(text), ["one", "two", "three"]);
    }
}
