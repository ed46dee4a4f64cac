//! Which devices a container may use, on cgroup v2. There is no controller for it there: the kernel asks a small program of
//! ours, which is attached to the container's cgroup and goes with it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const ROOT: &str = "/sys/fs/cgroup";

// The kernel's numbers: include/uapi/linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// A program of a cgroup above is asked as well.
const ALLOW_MULTI: u32 = 2;
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const EVERYTHING: i32 = MKNOD | READ | WRITE;

const PSEUDO_TERMINALS: i32 = 136;
/// null, zero, full, random, urandom, tty, console, ptmx.
const HARMLESS: [(i32, i32); 8] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];

/// Holds a container, whose first process this is, to the device rules of its configuration. Does nothing on cgroup v1,
/// where a controller has been told.
pub fn apply(config: &Value, pid: i32) -> Result<()> {
    if !is_v2() {
        return Ok(());
    }
    let Some(program) = program(&rules(&config["linux"]["resources"]["devices"])?) else { return Ok(()) };
    let program = load(&program).context("failed to load the program that decides about devices")?;
    attach(&program, &cgroup(pid)?).context("failed to attach the program that decides about devices")
}

/// One tree of cgroups, and not one for each controller.
pub fn is_v2() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// Those of the configuration, and after them what every container may do: as on cgroup v1, and as every OCI runtime has it.
fn rules(devices: &Value) -> Result<Vec<Rule>> {
    let mut rules = devices.as_array().into_iter().flatten().map(Rule::parse).collect::<Result<Vec<_>>>()?;
    let allow = |kind, major, minor, access| Rule { allow: true, kind: Some(kind), major, minor, access };
    rules.extend([BLOCK, CHARACTER].map(|kind| allow(kind, None, None, MKNOD)));
    rules.push(allow(CHARACTER, Some(PSEUDO_TERMINALS), None, EVERYTHING));
    rules.extend(HARMLESS.map(|(major, minor)| allow(CHARACTER, Some(major), Some(minor), EVERYTHING)));
    Ok(rules)
}

/// One line of the configuration. A later one wins over an earlier one, for each kind of access by itself.
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

impl Rule {
    fn parse(rule: &Value) -> Result<Rule> {
        let kind = match rule["type"].as_str() {
            None | Some("a" | "") => None,
            Some("b") => Some(BLOCK),
            Some("c" | "u") => Some(CHARACTER),
            Some(other) => bail!("there are no devices of type {other:?}"),
        };
        // -1 stands for all, as absence does.
        let number = |name: &str| match rule[name].as_i64().filter(|number| *number >= 0) {
            None => Ok(None),
            Some(number) => {
                i32::try_from(number).map(Some).with_context(|| format!("there is no device {name} {number}"))
            }
        };
        let mut access = 0;
        for letter in rule["access"].as_str().filter(|access| !access.is_empty()).unwrap_or("rwm").chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                other => bail!("there is no access {other:?} to devices"),
            };
        }
        let allow = rule["allow"].as_bool().unwrap_or(false);
        Ok(Rule { allow, kind, major: number("major")?, minor: number("minor")?, access })
    }

    fn is_about_everything(&self) -> bool {
        (self.kind, self.major, self.minor, self.access) == (None, None, None, EVERYTHING)
    }
}

/// An instruction, as the kernel's documentation has them: Documentation/bpf/standardization/instruction-set.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// The target's number, and in the upper half the source's.
    registers: u8,
    offset: i16,
    value: i32,
}

const fn instruction(code: u8, registers: u8, offset: i16, value: i32) -> Instruction {
    Instruction { code, registers, offset, value }
}

const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP: u8 = 0x05;
const JUMP_IF_NOT: u8 = 0x55;
const JUMP_IF_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

// Registers. The first two are the kernel's choice.
const ANSWER: u8 = 0;
const QUESTION: u8 = 1;
const KIND: u8 = 2;
/// What is asked for, and no rule has allowed yet.
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Looks through the rules from the last to the first. `None` when all is allowed.
fn program(rules: &[Rule]) -> Option<Vec<Instruction>> {
    let load = |register: u8, offset: i16| instruction(LOAD_WORD, register | QUESTION << 4, offset, 0);
    let answer = |allow: bool| [instruction(SET, ANSWER, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0)];
    let mut program = vec![
        // The first word is the access, shifted, and the type.
        load(KIND, 0),
        instruction(COPY, WANTED | KIND << 4, 0, 0),
        instruction(AND, KIND, 0, 0xffff),
        instruction(SHIFT_RIGHT, WANTED, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    let last = rules.iter().rposition(Rule::is_about_everything);
    let otherwise = last.is_some_and(|last| rules[last].allow);
    let rules = &rules[last.map_or(0, |last| last + 1)..];
    if otherwise && rules.iter().all(|rule| rule.allow) {
        return None;
    }
    for rule in rules.iter().rev() {
        let mut conditions = Vec::new();
        for (register, wanted) in [(KIND, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)] {
            conditions.extend(wanted.map(|wanted| (register, wanted)));
        }
        // To the next rule, past the verdict of four.
        let mut skip = i16::try_from(conditions.len()).unwrap_or(0) + 3;
        for (register, wanted) in conditions {
            program.push(instruction(JUMP_IF_NOT, register, skip, wanted));
            skip -= 1;
        }
        match rule.allow {
            true => program.extend([
                instruction(AND, WANTED, 0, EVERYTHING & !rule.access),
                instruction(JUMP_IF_NOT, WANTED, 2, 0),
            ]),
            false => program.extend([instruction(JUMP_IF_ANY_BIT, WANTED, 1, rule.access), instruction(JUMP, 0, 2, 0)]),
        }
        program.extend(answer(rule.allow));
    }
    program.extend(answer(otherwise));
    Some(program)
}

/// The folder of a process's cgroup.
fn cgroup(pid: i32) -> Result<File> {
    let path = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    let found = text.lines().find_map(|line| line.strip_prefix("0::/")).context("the container has no cgroup")?;
    let path = Path::new(ROOT).join(found);
    File::open(&path).with_context(|| format!("failed to open {}", path.display()))
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
    }
    // Kernels before 5.11 count programs as locked memory of the user.
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the value outlives the call. Where it is not allowed the limit that there is may do.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) };
    let mut attributes = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let answer = bpf(PROG_LOAD, &mut attributes)?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

fn attach(program: &OwnedFd, cgroup: &File) -> io::Result<()> {
    #[repr(C)]
    struct Attach {
        target: libc::c_int,
        program: libc::c_int,
        kind: u32,
        flags: u32,
    }
    let (target, program) = (cgroup.as_raw_fd(), program.as_raw_fd());
    let mut attributes = Attach { target, program, kind: ATTACH_CGROUP_DEVICE, flags: ALLOW_MULTI };
    bpf(PROG_ATTACH, &mut attributes).map(drop)
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: `attributes` is as long as is said, what it points to outlives the call, and shorter ones than the kernel's
    // are filled up with zeros.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    match answer {
        0.. => Ok(libc::c_int::try_from(answer).map_err(io::Error::other)?),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    /// Does what the kernel would do.
    fn execute(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let question = [i64::from(access << 16 | kind), i64::from(major), i64::from(minor)];
        let mut registers = [0_i64; 6];
        let mut at = 0;
        loop {
            let Instruction { code, registers: pair, offset, value } = program[at];
            let (target, source, value) = (usize::from(pair & 15), usize::from(pair >> 4), i64::from(value));
            let here = registers[target];
            let mut jump = false;
            match code {
                LOAD_WORD => registers[target] = question[usize::try_from(offset).unwrap() / 4],
                COPY => registers[target] = registers[source],
                SET => registers[target] = value,
                AND => registers[target] = here & value,
                SHIFT_RIGHT => registers[target] = here >> value,
                JUMP => jump = true,
                JUMP_IF_NOT => jump = here != value,
                JUMP_IF_ANY_BIT => jump = here & value != 0,
                EXIT => return registers[0] == 1,
                other => panic!("what is {other:#x}?"),
            }
            at += 1 + if jump { usize::try_from(offset).unwrap() } else { 0 };
        }
    }

    fn compile(devices: &Value) -> Option<Vec<Instruction>> {
        program(&rules(devices).unwrap())
    }

    /// As Berth writes them, and some more.
    fn some() -> Value {
        json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "b", "major": 7, "minor": 1, "access": "r" },
            { "allow": true, "type": "b", "major": 7, "minor": 1, "access": "w" },
            { "allow": true, "type": "b", "major": 8, "minor": -1, "access": "rw" },
            { "allow": false, "type": "b", "major": 8, "minor": 2, "access": "w" },
        ])
    }

    #[test]
    fn the_last_rule_about_an_access_wins() {
        let program = compile(&some()).unwrap();
        for (kind, access, major, minor, expected) in [
            (CHARACTER, READ | WRITE, 1, 3, true),
            (CHARACTER, EVERYTHING, 1, 3, true),
            (CHARACTER, READ, 1, 11, false),
            (CHARACTER, MKNOD, 1, 11, true),
            (CHARACTER, MKNOD | READ, 1, 11, false),
            (BLOCK, READ, 1, 3, false),
            (BLOCK, MKNOD, 1, 3, true),
            (CHARACTER, WRITE, 136, 17, true),
            (BLOCK, READ | WRITE, 7, 1, true),
            (BLOCK, EVERYTHING, 7, 1, true),
            (BLOCK, READ, 7, 2, false),
            (BLOCK, READ | WRITE, 8, 1, true),
            (BLOCK, READ, 8, 2, true),
            (BLOCK, WRITE, 8, 2, false),
            (BLOCK, READ | WRITE, 8, 2, false),
        ] {
            let case = (kind, access, major, minor);
            assert_eq!(execute(&program, kind, access, major, minor), expected, "{case:?}");
        }
    }

    #[test]
    fn without_rules_only_the_harmless_ones_are_left() {
        for nothing in [json!([]), Value::Null] {
            let program = compile(&nothing).unwrap();
            assert!(execute(&program, CHARACTER, READ, 1, 3) && execute(&program, BLOCK, MKNOD, 8, 0));
            assert!(!execute(&program, CHARACTER, READ, 1, 11));
        }
    }

    #[test]
    fn what_allows_everything_needs_no_program() {
        assert_eq!(compile(&json!([{ "allow": true, "access": "rwm" }])), None);
        let but_one =
            json!([{ "allow": true }, { "allow": false, "type": "c", "major": 1, "minor": 11, "access": "w" }]);
        let program = compile(&but_one).unwrap();
        assert!(execute(&program, CHARACTER, READ, 1, 11) && execute(&program, BLOCK, EVERYTHING, 8, 0));
        assert!(!execute(&program, CHARACTER, READ | WRITE, 1, 11));
    }

    #[test]
    fn nonsense_is_refused() {
        for rule in [json!({ "type": "x" }), json!({ "access": "rx" }), json!({ "major": 1_u64 << 40 })] {
            assert!(Rule::parse(&rule).is_err(), "{rule}");
        }
    }

    #[test]
    fn the_kernel_takes_the_program() {
        for devices in [some(), json!([])] {
            load(&compile(&devices).unwrap()).unwrap();
        }
    }
}
