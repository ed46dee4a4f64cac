//! The processes of a machine. They live on without its agent.

use super::*;

impl World {
    pub(crate) fn process_starts(&mut self, number: usize, run: &Run) {
        let now = self.now;
        let (arn, container, _) = run;
        self.checks.process_starts(&self.engine.snapshot(), &self.nodes[number], run).err().into_iter().for_each(
            |what| {
                self.violate(Checker::Doubled, what);
            },
        );
        let node = &mut self.nodes[number];
        node.starting.remove(run);
        let Some(task) = node.tasks.get(arn) else { return };
        let family = task.plan.payload.family.clone();
        let kind = Kind::of(&family);
        let host_port = match kind {
            Some(Kind::Edge) => EDGE_PORT,
            _ => {
                node.ports = (node.ports + 1) % 10_000;
                32_768 + node.ports
            }
        };
        node.incarnations += 1;
        let incarnation = node.incarnations;
        let bindings = vec![Binding {
            bind_ip: "0.0.0.0".into(),
            container_port: 80,
            host_port,
            protocol: "tcp".into(),
            to: None,
        }];
        node.processes
            .insert(run.clone(), Process { since: now, ended: None, incarnation, bindings: bindings.clone() });
        self.counts.processes += 1;
        let life = match kind {
            Some(Kind::Crashing) => Some((node.dice.millis(500, 4_000), 1)),
            Some(Kind::Batch) => Some((node.dice.millis(1_000, 60_000), 0)),
            _ => None,
        };
        let name = node.name();
        self.note(name, || format!("{container} of {} runs", short(arn)));
        if let Some((wait, code)) = life {
            self.process_will_end(number, run.clone(), wait, code);
        }
        if self.nodes[number].is_up {
            let runtime_id = format!("run-{incarnation}");
            self.engine_step(
                number,
                arn,
                Engine::Started { container: container.clone(), runtime_id, bindings, at: now },
            );
        }
    }

    pub(crate) fn process_will_end(&mut self, number: usize, run: Run, wait: Duration, code: i32) {
        let Some(process) = self.nodes[number].processes.get(&run) else { return };
        let incarnation = process.incarnation;
        self.node_after(number, wait, Happening::Ends { run, incarnation, code });
    }

    pub(crate) fn process_ends(&mut self, number: usize, run: &Run, incarnation: u64, code: i32) {
        let now = self.now;
        let node = &mut self.nodes[number];
        let same = |process: &&mut Process| process.incarnation == incarnation && process.ended.is_none();
        let Some(process) = node.processes.get_mut(run).filter(same) else { return };
        process.ended = Some((code, now));
        let (name, is_up) = (node.name(), node.is_up);
        let (arn, container, _) = run;
        self.note(name, || format!("{container} of {} has ended with {code}", short(arn)));
        if is_up {
            let event = Engine::Exited { container: container.clone(), exit_code: code, oom_killed: false, at: now };
            self.engine_step(number, arn, event);
        }
    }

    pub(crate) fn some_process_exits(&mut self, nth: u64, code: i32) {
        let alive = |node: &Node| -> Vec<(usize, Run)> {
            let running = node.processes.iter().filter(|(_, process)| process.ended.is_none());
            running.map(|(run, _)| (node.number, run.clone())).collect()
        };
        let all: Vec<(usize, Run)> = self.nodes.iter().flat_map(alive).collect();
        if !all.is_empty() {
            let (number, run) = all[(nth % all.len() as u64) as usize].clone();
            self.process_will_end(number, run, Duration::ZERO, code);
        }
    }
}
