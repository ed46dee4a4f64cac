//! What the application answers, without a socket: a question in, an answer out.
//!
//! The failures that it can show are ordinary ones: a sick health check, a crash, an exit, a slow answer,
//! too much memory, a flood of log lines.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::identity::Identity;
use crate::page;
use crate::query::{number, value};

const SLOW_MAX_MS: u64 = 60_000;
const EAT_MAX_MB: u64 = 65_536;
const LOG_MAX_LINES: u64 = 100_000;
const MB: usize = 1 << 20;

pub struct App {
    pub who: Identity,
    started: Instant,
    answered: AtomicU64,
    sick: AtomicBool,
    eaten: Mutex<Vec<Vec<u8>>>,
}

pub struct Question {
    pub method: String,
    pub url: String,
    pub accept: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
    pub after: After,
}

/// What happens once the answer is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    GoOn,
    Exit(u8),
    Abort,
}

/// How the client likes its answers. curl says `*/*` and gets text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taste {
    Html,
    Json,
    Text,
}

impl App {
    pub fn new(who: Identity) -> Self {
        Self {
            who,
            started: Instant::now(),
            answered: AtomicU64::new(0),
            sick: AtomicBool::new(false),
            eaten: Mutex::new(Vec::new()),
        }
    }

    pub fn answer(&self, question: &Question) -> Answer {
        let path = question.url.split('?').next().unwrap_or_default();
        if !["GET", "HEAD", "POST"].contains(&question.method.as_str()) {
            return text(405, "use GET or POST\n");
        }
        let done = match path {
            "/" => Ok(self.hello(taste(&question.accept))),
            "/healthz" => Ok(self.health(question)),
            "/crash" => Ok(Answer { after: After::Abort, ..text(200, "crashing\n") }),
            "/exit" => number(&question.url, "code", 0, 255).map(exit),
            "/slow" => number(&question.url, "ms", 1000, SLOW_MAX_MS).map(slow),
            "/eat" => number(&question.url, "mb", 16, EAT_MAX_MB).map(|mb| self.eat(mb)),
            "/env" => Ok(environment(taste(&question.accept))),
            "/log" => number(&question.url, "lines", 10, LOG_MAX_LINES).map(|lines| self.log(lines)),
            "/favicon.ico" => Ok(text(204, "")),
            _ => Ok(text(404, HELP)),
        };
        done.unwrap_or_else(|why| text(400, format!("{why}\n")))
    }

    fn hello(&self, taste: Taste) -> Answer {
        let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        let uptime = self.started.elapsed().as_secs();
        let healthy = !self.sick.load(Ordering::SeqCst);
        match taste {
            Taste::Html => Answer { kind: "text/html; charset=utf-8", ..text(200, page::render(&self.who)) },
            Taste::Json => {
                let mut body = serde_json::to_value(&self.who).expect("an identity is plain text");
                body["answered"] = json!(answered);
                body["uptime_seconds"] = json!(uptime);
                body["healthy"] = json!(healthy);
                body["eaten_mb"] = json!(self.eaten_mb());
                Answer { kind: "application/json", ..text(200, format!("{body}\n")) }
            }
            Taste::Text => {
                let Identity { version, task, instance, .. } = &self.who;
                let place = instance.as_ref().map(|instance| format!(" on instance {instance}")).unwrap_or_default();
                text(200, format!("Hello from Berth, version {version}: task {task}{place}, answer {answered}\n"))
            }
        }
    }

    /// `sick=1` makes it ill, `sick=0` heals it; a POST without either turns it over.
    fn health(&self, question: &Question) -> Answer {
        match value(&question.url, "sick") {
            Some("0" | "false") => self.sick.store(false, Ordering::SeqCst),
            Some("" | "1" | "true") => self.sick.store(true, Ordering::SeqCst),
            Some(other) => return text(400, format!("sick must be 0 or 1, not `{other}`\n")),
            None if question.method == "POST" => {
                self.sick.fetch_xor(true, Ordering::SeqCst);
            }
            None => {}
        }
        if self.sick.load(Ordering::SeqCst) { text(503, "sick\n") } else { text(200, "ok\n") }
    }

    fn eat(&self, mb: u64) -> Answer {
        for _ in 0..mb {
            // Each page is written, or the kernel would only promise the memory.
            let bite = vec![1; MB];
            self.eaten.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(bite);
        }
        text(200, format!("ate {mb} MB, {} MB in all\n", self.eaten_mb()))
    }

    fn eaten_mb(&self) -> usize {
        self.eaten.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len()
    }

    fn log(&self, lines: u64) -> Answer {
        for line in 1..=lines {
            println!("line {line} of {lines} from task {}", self.who.task);
        }
        text(200, format!("wrote {lines} lines to the log\n"))
    }
}

const HELP: &str = "there is nothing here; try / /healthz /healthz?sick=1 /crash /exit?code=1 /slow?ms=1000 \
/eat?mb=16 /env /log?lines=10\n";

fn exit(code: u64) -> Answer {
    let status = u8::try_from(code).expect("at most 255");
    Answer { after: After::Exit(status), ..text(200, format!("exiting with code {code}\n")) }
}

fn slow(ms: u64) -> Answer {
    std::thread::sleep(Duration::from_millis(ms));
    text(200, format!("waited {ms} ms\n"))
}

fn environment(taste: Taste) -> Answer {
    // Names and values need not be UTF-8, and `vars` would panic on such.
    let all = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    let all: std::collections::BTreeMap<String, String> = all.collect();
    if taste == Taste::Json {
        return Answer { kind: "application/json", ..text(200, format!("{}\n", json!(all))) };
    }
    text(200, all.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>())
}

fn text(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, kind: "text/plain; charset=utf-8", body: body.into(), after: After::GoOn }
}

/// The first of ours that the client names; browsers name HTML first.
fn taste(accept: &str) -> Taste {
    let named = accept.split(',').find_map(|part| match part.split(';').next().unwrap_or_default().trim() {
        "text/html" => Some(Taste::Html),
        "application/json" => Some(Taste::Json),
        "text/plain" => Some(Taste::Text),
        _ => None,
    });
    named.unwrap_or(Taste::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn app() -> App {
        let instance = Some("feed".to_owned());
        App::new(Identity { version: "1".into(), task: "0123".into(), instance, ..Identity::default() })
    }

    fn ask(app: &App, method: &str, url: &str, accept: &str) -> Answer {
        app.answer(&Question { method: method.into(), url: url.into(), accept: accept.into() })
    }

    fn get(app: &App, url: &str) -> (u16, String) {
        let answer = ask(app, "GET", url, "*/*");
        (answer.status, answer.body)
    }

    #[test]
    fn one_address_three_tastes() {
        let app = app();
        expect!["Hello from Berth, version 1: task 0123 on instance feed, answer 1\n"].assert_eq(&get(&app, "/").1);
        let page = ask(&app, "GET", "/", "text/html,application/xhtml+xml,*/*;q=0.8");
        assert!(page.kind.starts_with("text/html") && page.body.contains("0123"));
        let json = ask(&app, "GET", "/?x=1", "application/json");
        let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
        assert_eq!((&json["task"], &json["answered"], &json["healthy"]), (&json!("0123"), &json!(3), &json!(true)));
    }

    #[test]
    fn health_follows_what_it_is_told() {
        let app = app();
        for (method, url, expected) in [
            ("GET", "/healthz", 200),
            ("GET", "/healthz?sick=1", 503),
            ("GET", "/healthz", 503),
            ("POST", "/healthz", 200),
            ("POST", "/healthz", 503),
            ("GET", "/healthz?sick=0", 200),
            ("GET", "/healthz?sick=maybe", 400),
        ] {
            assert_eq!(ask(&app, method, url, "").status, expected, "{method} {url}");
        }
    }

    #[test]
    fn ends_are_announced_before_they_come() {
        let app = app();
        assert_eq!(ask(&app, "GET", "/crash", "").after, After::Abort);
        assert_eq!(ask(&app, "GET", "/exit?code=7", "").after, After::Exit(7));
        assert_eq!(ask(&app, "GET", "/exit", "").after, After::Exit(0));
        let refused = ask(&app, "GET", "/exit?code=256", "");
        assert_eq!((refused.status, refused.after), (400, After::GoOn));
        assert_eq!(refused.body, "code must be a number from 0 to 255, not `256`\n");
    }

    #[test]
    fn memory_stays_eaten_and_the_rest() {
        let app = app();
        assert_eq!(get(&app, "/eat?mb=2").1, "ate 2 MB, 2 MB in all\n");
        assert_eq!(get(&app, "/eat?mb=1").1, "ate 1 MB, 3 MB in all\n");
        assert_eq!(get(&app, "/slow?ms=1"), (200, "waited 1 ms\n".to_owned()));
        assert_eq!(get(&app, "/slow?ms=60001").0, 400);
        assert_eq!(get(&app, "/log?lines=2").1, "wrote 2 lines to the log\n");
        assert!(get(&app, "/env").1.contains("PATH="));
        assert_eq!(get(&app, "/nowhere").0, 404);
        assert_eq!(ask(&app, "DELETE", "/", "").status, 405);
    }
}
