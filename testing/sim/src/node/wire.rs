//! The agent's end of its websocket: connecting, listening, and what comes down.

use super::*;

impl World {
    pub(crate) fn connect(&mut self, number: usize, channel: Channel) {
        let (replica, now) = (self.any_replica(), self.now);
        let node = &mut self.nodes[number];
        if node.wire_of(channel).is_some() {
            return;
        }
        node.with_line(channel, |line, _| line.begins(now));
        let wait = node.takes(self.now, 1, 10);
        let id = self.checks.fresh_number();
        let wire = Wire {
            channel,
            node: number,
            node_life: node.life,
            replica,
            replica_life: 0,
            instance: String::new(),
            open_above: false,
            open_below: false,
            arrives_below: self.now,
            arrives_above: self.now,
        };
        self.wires.insert(id, wire);
        self.after(wait, Event::Upgrade { wire: id });
    }

    pub(crate) fn connect_later(&mut self, number: usize, channel: Channel, how: Ended) {
        let wait = self.nodes[number].hangs_up(channel, how, self.now);
        self.node_after(number, wait, Happening::Connects { channel });
    }

    /// The upgrade has succeeded; the agent knows before anything comes over the wire.
    pub(crate) fn welcome(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let (number, channel, now) = (wire.node, wire.channel, self.now);
        let node = &mut self.nodes[number];
        if node.life != wire.node_life || !node.is_up || node.wire_of(channel).is_some() {
            return self.after(Duration::from_millis(1), Event::GoneBelow { wire: id });
        }
        wire.open_below = true;
        let replica = wire.replica;
        *node.wire_of(channel) = Some(id);
        if channel == Channel::Tcs {
            node.with_line(channel, |line, jitter| line.opened(now, jitter));
            self.node_after(number, Duration::ZERO, Happening::Publishes { wire: id });
            return self.listen_later(number, channel, id);
        }
        let Node { session, dice, .. } = node;
        session.opened(now, &mut |most| dice.millis(0, most.as_millis() as u64));
        node.connected_since = Some(now);
        let name = node.name();
        self.note(name, || format!("is connected to replica-{replica}"));
        self.listen_later(number, channel, id);
    }

    pub(crate) fn refused_as_inactive(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        let node = &mut self.nodes[wire.node];
        if node.life != wire.node_life || !node.is_up {
            return;
        }
        if wire.channel == Channel::Tcs {
            return self.connect_later(wire.node, Channel::Tcs, Ended::Failed);
        }
        // An operator may see it before the agent asks again.
        let (clears, wait) = (node.dice.chance(50), node.dice.millis(10_000, 60_000));
        let name = node.name();
        self.note(name, || "is not welcome: its instance was deregistered".to_owned());
        match clears {
            true => self.node_after(wire.node, wait, Happening::IsWiped),
            false => self.connect_later(wire.node, Channel::Acs, Ended::Inactive),
        }
    }

    fn listen_later(&mut self, number: usize, channel: Channel, wire: u64) {
        if let Some(at) = self.nodes[number].with_line(channel, |line, _| line.next()) {
            self.node_after(number, at.since(self.now), Happening::Listens { wire });
        }
    }

    pub(crate) fn listen(&mut self, number: usize, id: u64) {
        let Some(channel) = self.wires.get(&id).map(|wire| wire.channel) else { return };
        let (node, now) = (&mut self.nodes[number], self.now);
        if *node.wire_of(channel) != Some(id) {
            return;
        }
        match node.with_line(channel, |line, _| line.due(now)) {
            Some(Due::Silent) => {
                self.drop_wire(number, channel, Ended::Silent);
                return self.after(Duration::from_millis(5), Event::GoneBelow { wire: id });
            }
            Some(Due::Expired) => {
                let name = node.name();
                self.note(name, || "closes a connection, which is old".to_owned());
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.arrives_above = wire.arrives_above.max(now + self.dice.millis(0, 5));
                    let at = wire.arrives_above;
                    self.push(at, Event::ClosesBelow { wire: id });
                }
            }
            None => {}
        }
        self.listen_later(number, channel, id);
    }

    /// What was published has arrived.
    pub(crate) fn acknowledged(&mut self, id: u64) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.open_below) else { return };
        let (number, channel, now) = (wire.node, wire.channel, self.now);
        if self.nodes[number].unplugged_until(now).is_none() {
            self.nodes[number].with_line(channel, |line, jitter| line.heard(now, jitter));
        }
    }

    /// The replica hears that the agent closes, and answers.
    pub(crate) fn closes_below(&mut self, id: u64) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.open_above) else { return };
        if let Some(until) = self.nodes[wire.node].unplugged_until(self.now) {
            return self.push(until, Event::ClosesBelow { wire: id });
        }
        self.gone_below(id);
        self.close_above(id, code::NORMAL);
    }

    pub(crate) fn drop_wire(&mut self, number: usize, channel: Channel, how: Ended) {
        let node = &mut self.nodes[number];
        if let Some(wire) = node.wire_of(channel).take().and_then(|wire| self.wires.get_mut(&wire)) {
            wire.open_below = false;
        }
        if channel == Channel::Acs {
            node.connected_since = None;
            let name = node.name();
            self.note(name, || "has lost its connection".to_owned());
        }
        self.connect_later(number, channel, how);
    }

    /// The agent learns that the connection is gone, or never came to be.
    pub(crate) fn gone_above(&mut self, id: u64, code: u16) {
        let Some(wire) = self.wires.get(&id) else { return };
        let (number, channel) = (wire.node, wire.channel);
        if let Some(until) = self.nodes[number].unplugged_until(self.now) {
            return self.push(until, Event::GoneAbove { wire: id, code });
        }
        let wire = self.wires.remove(&id).expect("it was there just now");
        let node = &mut self.nodes[number];
        if node.life != wire.node_life || !node.is_up {
            return;
        }
        let known = *node.wire_of(channel);
        if known == Some(id) {
            self.drop_wire(number, channel, Ended::Closed(code));
        } else if known.is_none() && !wire.open_below && wire.instance.is_empty() {
            self.connect_later(number, channel, Ended::Closed(code));
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
        let Node { session, dice, tasks, .. } = node;
        session.line.heard(self.now, &mut |most| dice.millis(0, most.as_millis() as u64));
        let here = tasks
            .iter()
            .map(|(arn, task)| (arn.as_str(), task.plan.payload.task_cluster_arn.as_str(), task.engine.status()));
        for effect in session.received(message, |manifest| agent::session::strangers(here, manifest)) {
            self.obey(number, id, effect);
        }
    }

    fn obey(&mut self, number: usize, id: u64, effect: Effect) {
        match effect {
            Effect::Send(message) => self.say_up(id, message),
            Effect::Accept(tasks, message) => {
                if self.accept(number, tasks) {
                    // Not before it is on the disk.
                    let wait = self.nodes[number].takes(self.now, 1, 20);
                    self.node_after(number, wait, Happening::Says { wire: id, message });
                }
            }
            Effect::Stop(task) => self.stop_task(number, &task),
            // Nobody here has keys, opens a session or has images that are worth a pull in advance.
            Effect::RefreshKeys(..) | Effect::Execute(_) | Effect::Prepull(_) => {}
        }
    }

    /// Health that has changed goes up at once.
    pub(crate) fn publish_health(&mut self, number: usize) {
        if self.nodes[number].health().is_some() {
            self.publish(number);
        }
    }

    /// What there is to say, if anything: metrics go up in any case, and are acknowledged.
    pub(crate) fn publish(&mut self, number: usize) {
        let node = &self.nodes[number];
        let Some(id) = node.tcs_wire else { return };
        let message = node.health().map(Box::new);
        let takes = node.crosses(self.now, &mut self.dice);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.arrives_above = wire.arrives_above.max(self.now + takes);
        let at = wire.arrives_above;
        self.push(at, Event::Health { wire: id, message });
    }
}
