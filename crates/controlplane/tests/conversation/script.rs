//! Reads a script: one step a line, JSON going on over as many lines as it needs.

use std::time::Duration;

use serde_json::Value;

/// One thing that happens.
#[derive(Debug)]
pub enum Step {
    /// `sections 5 9`: what of the agent protocol this script is about.
    Sections(Vec<u32>),
    /// `auth iam`: signatures are checked. Comes before everything else.
    Iam,
    /// `with FILE`: another script first.
    With(String),
    /// `call Operation {...}`: an API call, as the official agent makes it.
    Call(String, Value),
    /// `until Operation {...}`: the same again and again, until the answer is what the next line says.
    Until(String, Value),
    /// `= {...}`: what the last call was answered with, at least.
    Answer(Value),
    /// `! 400 CodeException message`: how it was refused.
    Refusal(u16, String, String),
    /// `acs NAME key=value ...`, `tcs NAME ...`: an upgrade with the official agent's query, but for what is given.
    Connect { socket: String, telemetry: bool, query: Vec<(String, String)> },
    /// `refused 403 {...}`: how the last upgrade ended.
    RefusedUpgrade(u16, Value),
    /// `-> NAME Type {...}`.
    Send { socket: String, message_type: String, message: Value },
    /// `-> NAME raw ...`: this very text.
    SendRaw { socket: String, text: String },
    /// `<- NAME Type {...}`: what comes next, at least. It is acknowledged as the official agent would.
    Receive { socket: String, message_type: String, message: Value },
    /// `drop ack`: what comes next is not acknowledged. `drop acks`: nothing is any more.
    DropAck { all: bool },
    /// `duplicate`: the last call, or the last frame, once more.
    Duplicate,
    /// `delay 90s`.
    Delay(Duration),
    /// `close NAME 1000`: with a frame, and the answer to it.
    Close { socket: String, code: u16 },
    /// `cut NAME`: without a word.
    Cut(String),
    /// `closed NAME 1008 reason`: by the control plane.
    Closed { socket: String, code: u16, reason: String },
    /// `restart`: the control plane ends and starts again over its records.
    Restart,
}

pub struct Line {
    pub number: usize,
    pub text: String,
    pub step: Step,
}

pub fn parse(script: &str) -> Vec<Line> {
    let mut lines = script.lines().enumerate().peekable();
    let mut steps = Vec::new();
    while let Some((index, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut text = line.trim().to_owned();
        // What stands further right goes on with the line before.
        while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with("    ")) {
            text.push(' ');
            text.push_str(next.trim());
        }
        let number = index + 1;
        let step = step(&text).unwrap_or_else(|why| panic!("line {number}: {why}: {text}"));
        steps.push(Line { number, text, step });
    }
    steps
}

fn step(text: &str) -> Result<Step, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let word = |rest: &str| {
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        (word.to_owned(), rest.trim().to_owned())
    };
    let json = |text: &str| -> Result<Value, String> {
        let text = if text.is_empty() { "{}" } else { text };
        serde_json::from_str(text).map_err(|error| error.to_string())
    };
    let number = |text: &str| text.parse::<u16>().map_err(|_| format!("{text} is no number"));
    Ok(match verb {
        "sections" => {
            let numbers: Result<Vec<u32>, _> = rest.split(' ').map(str::parse).collect();
            Step::Sections(numbers.map_err(|_| "sections are numbers")?)
        }
        "auth" => Step::Iam,
        "with" => Step::With(rest.to_owned()),
        "call" | "until" => {
            let (operation, input) = word(rest);
            let input = json(&input)?;
            if verb == "call" { Step::Call(operation, input) } else { Step::Until(operation, input) }
        }
        "=" => Step::Answer(json(rest)?),
        "!" => {
            let ((status, rest), code) = (word(rest), String::new());
            let (name, message) = word(&rest);
            Step::Refusal(number(&status)?, code + &name, message)
        }
        "acs" | "tcs" => {
            let (socket, rest) = word(rest);
            let pairs = rest.split(' ').filter_map(|pair| pair.split_once('='));
            let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Step::Connect { socket, telemetry: verb == "tcs", query }
        }
        "refused" => {
            let (status, body) = word(rest);
            Step::RefusedUpgrade(number(&status)?, json(&body)?)
        }
        "->" | "<-" => {
            let (socket, rest) = word(rest);
            let (message_type, message) = word(&rest);
            match (verb, message_type.as_str()) {
                ("->", "raw") => Step::SendRaw { socket, text: message },
                ("->", _) => Step::Send { socket, message_type, message: json(&message)? },
                _ => Step::Receive { socket, message_type, message: json(&message)? },
            }
        }
        "drop" => Step::DropAck { all: rest == "acks" },
        "duplicate" => Step::Duplicate,
        "delay" => {
            let seconds = rest.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
            Step::Delay(Duration::from_secs(seconds.ok_or("a delay is like 90s")?))
        }
        "close" => {
            let (socket, code) = word(rest);
            Step::Close { socket, code: if code.is_empty() { 1000 } else { number(&code)? } }
        }
        "cut" => Step::Cut(rest.to_owned()),
        "closed" => {
            let (socket, rest) = word(rest);
            let (code, reason) = word(&rest);
            Step::Closed { socket, code: number(&code)?, reason }
        }
        "restart" => Step::Restart,
        other => return Err(format!("{other} is no step")),
    })
}
