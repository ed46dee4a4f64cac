//! Both ends against each other, over a wire that loses, doubles and reorders.

use std::time::Duration;

use proptest::prelude::*;
use ssm_session::*;
use stdx::{Ids, Timestamp};

const SESSION: &str = "ecs-execute-command-0123456789abcdef0";

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_795_384_329_148) + Duration::from_millis(millis)
}

/// A program that repeats its input, in capitals, and ends at the end of its input.
struct World {
    agent: AgentSession,
    client: ClientSession,
    /// What travels: true goes to the agent.
    wire: Vec<(bool, Vec<u8>)>,
    began: bool,
    output: Vec<u8>,
    waiting: Vec<u8>,
    sizes: Vec<Size>,
    shown: Vec<u8>,
    errors: Vec<u8>,
    ended: Option<Ended>,
    input_over: bool,
    hung_up: bool,
    closed: bool,
    now: u64,
}

impl World {
    fn new(session_type: SessionType) -> World {
        let (agent, hello) = AgentSession::new(SESSION, session_type, Ids::from_seed(1), at(0));
        let (client, open) = ClientSession::new("1.2.3.0", "secret", Ids::from_seed(2), at(0));
        let open: ssm_session::contents::OpenDataChannel = serde_json::from_str(&open).unwrap();
        assert_eq!((&*open.token_value, &*open.message_schema_version), ("secret", "1.0"));
        assert!(!format!("{open:?}").contains("secret"));
        let mut world = World {
            agent,
            client,
            wire: Vec::new(),
            began: false,
            output: Vec::new(),
            waiting: Vec::new(),
            sizes: Vec::new(),
            shown: Vec::new(),
            errors: Vec::new(),
            ended: None,
            input_over: false,
            hung_up: false,
            closed: false,
            now: 0,
        };
        world.do_agent(hello);
        world
    }

    fn do_agent(&mut self, actions: Vec<AgentAction>) {
        for action in actions {
            match action {
                AgentAction::Send(bytes) => self.wire.push((false, bytes)),
                AgentAction::Begin(size) => {
                    self.began = true;
                    self.sizes.extend(size);
                }
                AgentAction::Input(bytes) => {
                    assert!(self.began);
                    self.waiting.extend(bytes);
                }
                AgentAction::EndInput => self.input_over = true,
                AgentAction::Resize(size) => self.sizes.push(size),
                AgentAction::HangUp => self.hung_up = true,
                AgentAction::Close => self.closed = true,
            }
        }
    }

    fn do_client(&mut self, actions: Vec<ClientAction>) {
        for action in actions {
            match action {
                ClientAction::Send(bytes) => self.wire.push((true, bytes)),
                ClientAction::Ready => {}
                ClientAction::Output(Stream::Out, bytes) => self.shown.extend(bytes),
                ClientAction::Output(Stream::Err, bytes) => self.errors.extend(bytes),
                ClientAction::Closed(ended) => self.ended = Some(ended),
                ClientAction::Lost => panic!("the agent was lost"),
            }
        }
    }

    fn agent(&mut self, event: AgentEvent<'_>) {
        let actions = self.agent.step(event, at(self.now));
        self.do_agent(actions);
    }

    fn client(&mut self, event: ClientEvent<'_>) {
        let actions = self.client.step(event, at(self.now));
        self.do_client(actions);
    }

    fn deliver(&mut self, index: usize) {
        let (to_agent, bytes) = self.wire.remove(index);
        self.deliver_copy(to_agent, &bytes);
    }

    fn deliver_copy(&mut self, to_agent: bool, bytes: &[u8]) {
        match to_agent {
            true => self.agent(AgentEvent::Frame(bytes)),
            false => self.client(ClientEvent::Frame(bytes)),
        }
    }

    /// Everything that is under way arrives, in order.
    fn settle(&mut self) {
        while !self.wire.is_empty() {
            self.deliver(0);
        }
    }

    /// The program's turn.
    fn run_program(&mut self) {
        let taken = std::mem::take(&mut self.waiting);
        if !taken.is_empty() {
            self.output.extend(taken.to_ascii_uppercase());
            self.agent(AgentEvent::Consumed(taken.len()));
        }
        while self.agent.wants_output() && !self.output.is_empty() {
            let some: Vec<u8> = self.output.drain(..self.output.len().min(1000)).collect();
            self.agent(AgentEvent::Output(Stream::Out, &some));
        }
        if self.input_over && self.output.is_empty() && self.waiting.is_empty() {
            self.agent(AgentEvent::Ended(Ended { message: String::new(), exit_code: Some(7) }));
        }
    }

    fn tick(&mut self) {
        self.now += 50;
        if self.agent.look_at().is_some_and(|look| look <= at(self.now)) {
            self.agent(AgentEvent::Tick);
        }
        if self.client.look_at().is_some_and(|look| look <= at(self.now)) {
            self.client(ClientEvent::Tick);
        }
    }
}

#[test]
fn a_session_from_hello_to_goodbye() {
    let mut world = World::new(SessionType::InteractiveCommands);
    assert!(!world.client.wants_input());
    world.settle();
    assert!(!world.began && world.client.wants_input());
    world.client(ClientEvent::Resize(Size { columns: 132, rows: 43 }));
    world.settle();
    assert!(world.began);
    world.client(ClientEvent::Input(b"ls\r"));
    world.settle();
    world.run_program();
    world.settle();
    assert_eq!((world.sizes.as_slice(), &*world.shown), (&[Size { columns: 132, rows: 43 }][..], &b"LS\r"[..]));
    world.agent(AgentEvent::Output(Stream::Err, b"oh"));
    world.agent(AgentEvent::Ended(Ended { message: String::new(), exit_code: Some(3) }));
    assert!(!world.closed, "the last output has not arrived");
    world.settle();
    assert_eq!(world.errors, b"oh");
    assert_eq!(world.ended, Some(Ended { message: String::new(), exit_code: Some(3) }));
    assert!(world.closed);
    assert_eq!((world.agent.look_at(), world.client.look_at()), (None, None));
}

#[test]
fn a_program_that_does_not_read_takes_no_memory() {
    let mut world = World::new(SessionType::NonInteractiveCommands);
    world.settle();
    let mut sent = 0;
    while world.client.wants_input() && sent < 10_000 {
        world.client(ClientEvent::Input(&[b'x'; 4096]));
        sent += 1;
        world.settle();
    }
    assert!(sent < 200, "the client was not held up: {sent}");
    assert!(world.waiting.len() <= limits::INPUT_BYTES + (limits::WINDOW_FRAMES + 1) * 4096, "{}", world.waiting.len());
    while world.shown.len() < sent * 4096 {
        world.run_program();
        world.tick();
        world.settle();
        assert!(world.now < 1_000, "{} of {}", world.shown.len(), sent * 4096);
    }
}

#[test]
fn a_reader_that_does_not_read_takes_no_memory() {
    let mut world = World::new(SessionType::NonInteractiveCommands);
    world.settle();
    let mut taken = 0;
    while world.agent.wants_output() {
        world.agent(AgentEvent::Output(Stream::Out, &[b'y'; 4096]));
        taken += 1;
    }
    assert!(taken <= limits::WINDOW_FRAMES, "{taken}");
    let before = world.wire.len();
    for _ in 0..1000 {
        world.tick();
    }
    let again = world.wire.len() - before;
    assert!(again < 60, "sent again {again} times in 50 s");
    world.settle();
    assert_eq!(world.shown.len(), taken * 4096);
    assert!(world.agent.wants_output());
}

#[test]
fn who_says_nothing_is_hung_up() {
    let mut world = World::new(SessionType::InteractiveCommands);
    world.settle();
    world.now = limits::SIZE_WITHIN.as_millis() as u64;
    world.agent(AgentEvent::Tick);
    assert!(world.began && world.sizes.is_empty(), "nobody says how large the terminal is");
    world.now += limits::IDLE_MAX.as_millis() as u64 - 1;
    world.agent(AgentEvent::Tick);
    assert!(!world.hung_up);
    world.now += 1;
    world.agent(AgentEvent::Tick);
    assert!(world.hung_up);
    world.agent(AgentEvent::Ended(Ended { message: String::new(), exit_code: Some(129) }));
    world.settle();
    assert_eq!(world.ended.unwrap().message, "Your session timed out due to inactivity.");
}

#[test]
fn a_client_that_does_not_shake_hands_is_left() {
    let mut world = World::new(SessionType::InteractiveCommands);
    world.wire.clear();
    world.now = 15_000;
    world.agent(AgentEvent::Tick);
    assert!(world.closed && !world.began);
    world.settle();
    assert_eq!(world.ended.unwrap().message, "The client did not answer the handshake.");
}

#[test]
fn pauses_are_kept() {
    let mut world = World::new(SessionType::NonInteractiveCommands);
    world.settle();
    let say = |kind| Frame::new(kind, at(0), [9; 16], Vec::new()).encode();
    world.agent(AgentEvent::Frame(&say(MessageType::PausePublication)));
    assert!(!world.agent.wants_output());
    world.agent(AgentEvent::Frame(&say(MessageType::StartPublication)));
    assert!(world.agent.wants_output());
}

#[test]
fn a_client_may_end_the_session() {
    let mut world = World::new(SessionType::InteractiveCommands);
    world.settle();
    let flag = Frame::new(MessageType::InputStreamData, at(0), [9; 16], vec![0, 0, 0, 2]);
    let flag = Frame { sequence: 1, payload_type: PayloadType::Flag, ..flag };
    world.agent(AgentEvent::Frame(&flag.encode()));
    assert!(world.hung_up);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_is_lost_on_a_bad_wire(seed in any::<u128>()) {
        let mut luck = Ids::from_seed(seed);
        let mut world = World::new(SessionType::NonInteractiveCommands);
        let typed: Vec<u8> = (0..20_000).map(|_| b'a' + (luck.number() % 26) as u8).collect();
        let (mut rest, mut told) = (&typed[..], false);
        while world.ended.is_none() {
            prop_assert!(world.now < 3_600_000, "it does not end");
            world.tick();
            while world.client.wants_input() && !rest.is_empty() {
                let (some, others) = rest.split_at(rest.len().min(777));
                world.client(ClientEvent::Input(some));
                rest = others;
            }
            if world.client.wants_input() && rest.is_empty() && !told {
                told = true;
                world.client(ClientEvent::EndInput);
            }
            world.run_program();
            for _ in 0..world.wire.len() {
                let index = (luck.number() as usize) % world.wire.len();
                match luck.number() % 8 {
                    // The goodbye is said once; a real wire ends the connection with it.
                    0 if !world.closed => drop(world.wire.remove(index)),
                    1 => {
                        let (to_agent, bytes) = world.wire[index].clone();
                        world.deliver_copy(to_agent, &bytes);
                    }
                    2 => {}
                    _ => world.deliver(index),
                }
                if world.wire.is_empty() {
                    break;
                }
            }
        }
        prop_assert_eq!(world.shown, typed.to_ascii_uppercase());
        prop_assert_eq!(world.ended.unwrap().exit_code, Some(7));
    }
}
