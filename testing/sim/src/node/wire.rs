//! The agent's end of its websocket: connecting, listening, and what comes down.

use super::*;

impl World {
    pub(crate) fn connect(&mut self, number: usize) {
        let replica = self.any_replica();
        let node = &mut self.nodes[number];
        if node.wire.is_some() {
            return;
        }
        let wait = node.takes(self.now, 1, 10);
        let id = self.checks.fresh_number();
        let wire = Wire {
            node: number,
            node_life: node.life,
            replica,
            replica_life: 0,
            instance: String::new(),
            open_above: false,
            open_below: false,
            arrives_below: self.now,
            arrives_above: self.now,
            health_arrives: self.now,
        };
        self.wires.insert(id, wire);
        self.after(wait, Event::Upgrade { wire: id });
    }

    pub(crate) fn connect_later(&mut self, number: usize, after: AfterClose) {
        let node = &mut self.nodes[number];
        let wait = match after {
            AfterClose::ReconnectAtOnce => Duration::from_millis(5),
            AfterClose::BackOff => {
                let wait = node.connect_wait;
                node.connect_wait = (wait * 3 / 2).min(CONNECT_WAIT_MAX);
                wait + node.dice.millis(0, wait.as_millis() as u64 / 5)
            }
        };
        self.node_after(number, wait, Happening::Connects);
    }

    /// The upgrade has succeeded; the agent knows before anything comes over the wire.
    pub(crate) fn welcome(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let number = wire.node;
        let node = &mut self.nodes[number];
        if node.life != wire.node_life || !node.is_up || node.wire.is_some() {
            return self.after(Duration::from_millis(1), Event::GoneBelow { wire: id });
        }
        wire.open_below = true;
        node.wire = Some(id);
        node.heard_at = self.now;
        node.connected_since = Some(self.now);
        let (name, silent) = (node.name(), node.dice.millis(INACTIVITY_MS, 2 * INACTIVITY_MS));
        let replica = wire.replica;
        self.note(name, || format!("is connected to replica-{replica}"));
        self.node_after(number, silent, Happening::Listens { wire: id });
        self.node_after(number, Duration::ZERO, Happening::Publishes { wire: id });
    }

    pub(crate) fn refused_as_inactive(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        let node = &mut self.nodes[wire.node];
        if node.life != wire.node_life || !node.is_up {
            return;
        }
        // An operator may see it before the agent asks again.
        let (clears, wait) = (node.dice.chance(50), node.dice.millis(10_000, 60_000));
        let name = node.name();
        self.note(name, || "is not welcome: its instance was deregistered".to_owned());
        match clears {
            true => self.node_after(wire.node, wait, Happening::IsWiped),
            false => self.node_after(wire.node, INACTIVE_INSTANCE_WAIT, Happening::Connects),
        }
    }

    pub(crate) fn listen(&mut self, number: usize, id: u64) {
        let node = &mut self.nodes[number];
        if node.wire != Some(id) {
            return;
        }
        let silent_at = node.heard_at + node.dice.millis(INACTIVITY_MS, 2 * INACTIVITY_MS);
        if silent_at > self.now {
            let wait = silent_at.since(self.now);
            return self.node_after(number, wait, Happening::Listens { wire: id });
        }
        self.drop_wire(number, AfterClose::BackOff);
        self.after(Duration::from_millis(5), Event::GoneBelow { wire: id });
    }

    pub(crate) fn drop_wire(&mut self, number: usize, after: AfterClose) {
        let node = &mut self.nodes[number];
        node.connected_since = None;
        let name = node.name();
        if let Some(wire) = node.wire.take().and_then(|wire| self.wires.get_mut(&wire)) {
            wire.open_below = false;
        }
        self.note(name, || "has lost its connection".to_owned());
        self.connect_later(number, after);
    }

    /// The agent learns that the connection is gone, or never came to be.
    pub(crate) fn gone_above(&mut self, id: u64, code: u16) {
        let Some(wire) = self.wires.get(&id) else { return };
        let number = wire.node;
        if let Some(until) = self.nodes[number].unplugged_until(self.now) {
            return self.push(until, Event::GoneAbove { wire: id, code });
        }
        let wire = self.wires.remove(&id).expect("it was there just now");
        let node = &self.nodes[number];
        if node.life != wire.node_life || !node.is_up {
            return;
        }
        if node.wire == Some(id) {
            self.drop_wire(number, after_close(code));
        } else if node.wire.is_none() && !wire.open_below && wire.instance.is_empty() {
            self.connect_later(number, after_close(code));
        }
    }

    pub(crate) fn say_up(&mut self, id: u64, message: FromAgent) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.open_below) else { return };
        let takes = self.nodes[wire.node].crosses(self.now, &mut self.dice);
        wire.arrives_above = wire.arrives_above.max(self.now + takes);
        let at = wire.arrives_above;
        self.push(at, Event::Up { wire: id, message });
    }

    pub(crate) fn message_down(&mut self, id: u64, message: ToAgent) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.open_below) else { return };
        let number = wire.node;
        if let Some(until) = self.nodes[number].unplugged_until(self.now) {
            return self.push(until, Event::Down { wire: id, message: Box::new(message) });
        }
        let node = &mut self.nodes[number];
        if node.life != wire.node_life || node.wire != Some(id) {
            return;
        }
        node.heard_at = self.now;
        node.connect_wait = CONNECT_WAIT_FIRST;
        match message {
            ToAgent::Heartbeat(heartbeat) => {
                self.say_up(id, FromAgent::HeartbeatAck(HeartbeatAck { message_id: heartbeat.message_id }));
            }
            ToAgent::Payload(payload) => {
                node.timeline = node.timeline.max(payload.seq_num);
                if self.accept(number, payload.tasks) {
                    // Not before it is on the disk.
                    let wait = self.nodes[number].takes(self.now, 1, 20);
                    let message = ack(payload.cluster_arn, payload.container_instance_arn, payload.message_id);
                    self.node_after(number, wait, Happening::Says { wire: id, message });
                }
            }
            ToAgent::TaskManifest(manifest) => self.manifest(number, id, manifest),
            ToAgent::TaskStopVerificationAck(confirmed) if node.manifest.as_ref() == Some(&confirmed.message_id) => {
                node.manifest = None;
                confirmed.stop_tasks.iter().for_each(|task| self.stop_task(number, &task.task_arn));
            }
            _ => {}
        }
    }

    pub(crate) fn manifest(&mut self, number: usize, wire: u64, manifest: TaskManifest) {
        let node = &mut self.nodes[number];
        if node.timeline.is_some_and(|seen| manifest.timeline <= seen) {
            return;
        }
        node.timeline = Some(manifest.timeline);
        let wanted = |arn: &str| {
            manifest.tasks.iter().any(|task| task.task_arn == arn && task.desired_status == TaskStatus::Running.name())
        };
        let strangers =
            node.tasks.iter().filter(|(arn, task)| task.engine.status() != TaskStatus::Stopped && !wanted(arn));
        let stop_candidates: Vec<ManifestTask> = strangers
            .map(|(arn, task)| ManifestTask {
                task_arn: arn.clone(),
                task_cluster_arn: task.plan.payload.task_cluster_arn.clone(),
                desired_status: TaskStatus::Stopped.name().to_owned(),
            })
            .collect();
        let message_id = manifest.message_id;
        let verification = (!stop_candidates.is_empty()).then(|| {
            node.manifest = Some(message_id.clone());
            let message_id = message_id.clone();
            FromAgent::TaskStopVerification(TaskStopVerification { message_id, stop_candidates })
        });
        self.say_up(wire, ack(manifest.cluster_arn, manifest.container_instance_arn, message_id));
        if let Some(verification) = verification {
            self.say_up(wire, verification);
        }
    }

    pub(crate) fn publish_health(&mut self, number: usize) {
        let node = &self.nodes[number];
        let (Some(id), Some(message)) = (node.wire, node.health()) else { return };
        let takes = node.crosses(self.now, &mut self.dice);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.health_arrives = wire.health_arrives.max(self.now + takes);
        let at = wire.health_arrives;
        self.push(at, Event::Health { wire: id, message: Box::new(message) });
    }
}
