//! The sample web application: it says which task answered, and fails when asked to.
//!
//! One static program for an image made `FROM scratch`. It listens on `$PORT`, or 80, and answers a browser
//! with a page, curl with text, and a program with JSON. It knows nothing of Berth: like any application it
//! learns who it is from the ECS task metadata endpoint, or from its host name.
//!
//! `berth-sample check` asks a running sample on this host whether it is well, for a container health check.
//! `berth-sample lines 1000` prints so many and ends, for whoever tries out logs; `berth-sample idle` does nothing until it is stopped.
//! `berth-sample forward` is a log router for FireLens that prints what it hears.
//!
//! Start reading at `app.rs`.

#![forbid(unsafe_code)]

mod app;
mod forward;
mod identity;
mod page;
mod query;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use app::{After, App, Question};

/// Requests served at once; more wait.
const WORKERS: usize = 32;
/// How long a stop waits for requests under way. ECS itself waits 30 seconds before it kills.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(60);
const POLL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let port = match std::env::var("PORT").ok().filter(|text| !text.is_empty()) {
        None => 80,
        Some(text) => match text.parse::<u16>() {
            Ok(port) => port,
            Err(_) => return fail(format_args!("PORT is `{text}`, which is not a port number")),
        },
    };
    match std::env::args().nth(1).as_deref() {
        None => serve(port),
        Some("check") => match identity::fetch(&format!("http://127.0.0.1:{port}/healthz")) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => fail(format_args!("not well: {error}")),
        },
        Some("lines") => match std::env::args().nth(2).map(|count| count.parse()) {
            Some(Ok(count)) => print_lines(count),
            _ => fail(format_args!("`lines` needs to know how many")),
        },
        Some("idle") => idle(),
        Some("forward") => forward::serve(),
        Some(other) => {
            fail(format_args!("`{other}` is not a command; there are `check`, `lines`, `forward` and `idle`"))
        }
    }
}

fn idle() -> ExitCode {
    match Signals::new([SIGTERM, SIGINT]) {
        Ok(mut signals) => {
            signals.forever().next();
            ExitCode::SUCCESS
        }
        Err(error) => fail(format_args!("cannot handle signals: {error}")),
    }
}

/// Lines such as a busy web server writes, one at a time as it would.
fn print_lines(count: u64) -> ExitCode {
    let mut out = std::io::stdout().lock();
    for number in 0..count {
        let (item, took) = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44, number % 97);
        let written =
            writeln!(out, "line {number} \"GET /items/{item} HTTP/1.1\" 200 {} \"curl/8.5.0\" {took} ms", item % 4096);
        if let Err(error) = written {
            return fail(format_args!("cannot print: {error}"));
        }
    }
    ExitCode::SUCCESS
}

fn serve(port: u16) -> ExitCode {
    // As the first process of a container it has no default handlers: without these a stop would do nothing.
    let mut stop = match Signals::new([SIGTERM, SIGINT]) {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("cannot handle signals: {error}")),
    };
    let server = match tiny_http::Server::http(("0.0.0.0", port)) {
        Ok(server) => Arc::new(server),
        Err(error) => return fail(format_args!("cannot listen on port {port}: {error}")),
    };
    let app = Arc::new(App::new(identity::discover()));
    let port = server.server_addr().to_ip().map_or(port, |address| address.port());
    println!("sample version {} listens on port {port}", app.who.version);

    let crew = Arc::new(Crew { server, app, hired: AtomicUsize::new(0), at_work: AtomicUsize::new(0) });
    crew.clone().hire();
    stop.forever().next();
    println!("stopping");
    // Whoever connected before the signal gets an answer: the workers go on until nothing was under way for a
    // moment, in which requests that were only just read come to a worker.
    let deadline = Instant::now() + FINISH_WITHIN;
    let mut quiet = Instant::now();
    while quiet.elapsed() < QUIET && Instant::now() < deadline {
        std::thread::sleep(POLL);
        if crew.at_work.load(Ordering::SeqCst) > 0 {
            quiet = Instant::now();
        }
    }
    ExitCode::SUCCESS
}

/// Whoever answers requests, each in a thread of its own. A sample that nobody asks has one of them, so it starts at once.
struct Crew {
    server: Arc<tiny_http::Server>,
    app: Arc<App>,
    hired: AtomicUsize,
    at_work: AtomicUsize,
}

impl Crew {
    fn hire(self: Arc<Self>) {
        self.hired.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            while let Ok(request) = self.server.recv() {
                let at_work = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
                // Somebody must be free for the next request. Two may hire at the same time; one more does no harm.
                let hired = self.hired.load(Ordering::SeqCst);
                if at_work == hired && hired < WORKERS {
                    self.clone().hire();
                }
                answer(&self.app, request);
                self.at_work.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
}

/// Answers one request and logs it in one line.
fn answer(app: &App, mut request: tiny_http::Request) {
    let start = Instant::now();
    let header = |name: &'static str| {
        let found = request.headers().iter().find(|header| header.field.equiv(name));
        found.map(|header| header.value.to_string()).unwrap_or_default()
    };
    let question =
        Question { method: request.method().to_string(), url: request.url().to_owned(), accept: header("Accept") };
    let from = request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    // An unread body would be taken for the next request of the connection.
    let _ = std::io::copy(request.as_reader(), &mut std::io::sink());

    let answer = app.answer(&question);
    let kind = tiny_http::Header::from_bytes("Content-Type", answer.kind).expect("content types are plain text");
    let fresh = tiny_http::Header::from_bytes("Cache-Control", "no-store").expect("a constant");
    let response = tiny_http::Response::from_string(answer.body)
        .with_status_code(answer.status)
        .with_header(kind)
        .with_header(fresh);
    // The client may be gone; that is its business, and the line below is ours.
    let _ = request.respond(response);
    let Question { method, url, .. } = &question;
    println!("{method} {url} {} {:.1}ms from {from}", answer.status, start.elapsed().as_secs_f64() * 1e3);
    match answer.after {
        After::GoOn => {}
        After::Exit(code) => std::process::exit(code.into()),
        After::Abort => std::process::abort(),
    }
}

fn fail(message: std::fmt::Arguments<'_>) -> ExitCode {
    eprintln!("sample: {message}");
    ExitCode::FAILURE
}
