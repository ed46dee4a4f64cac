//! What an agent does with its tasks: it accepts them, steps their engines, and reports.

use super::*;

impl World {
    /// Stops first, then starts. False when one could not be built.
    pub(crate) fn accept(&mut self, number: usize, tasks: Vec<payload::Task>) -> bool {
        let (stops, starts): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.desired_status == DesiredStatus::Stopped);
        stops.iter().for_each(|task| self.stop_task(number, &task.arn));
        // Every one is tried.
        let built: Vec<bool> = starts.into_iter().map(|task| self.start_task(number, task)).collect();
        built.into_iter().all(|built| built)
    }

    pub(crate) fn start_task(&mut self, number: usize, task: payload::Task) -> bool {
        let arn = task.arn.clone();
        let node = &mut self.nodes[number];
        if node.tasks.contains_key(&arn) {
            self.tell_again(number, &arn);
            return true;
        }
        if self.sabotage == Some(Sabotage::ForgetfulAgent) && node.dice.chance(30) {
            return true;
        }
        let ids = &mut node.ids;
        let identity = Identity::new(&task, || ids.uuid());
        let built = TaskPlan::new(task, identity, STOP_TIMEOUT)
            .and_then(|(plan, spec)| Ok((plan, spec.clone(), Task::new(spec)?)));
        match built {
            Ok((plan, spec, engine)) => {
                node.tasks.insert(arn.clone(), AgentTask { plan, spec, engine, told: false, look: None });
                self.engine_step(number, &arn, Engine::Begin);
                true
            }
            Err(error) => {
                self.report_stopped(number, &arn, &error.reason());
                false
            }
        }
    }

    pub(crate) fn stop_task(&mut self, number: usize, arn: &str) {
        if self.nodes[number].tasks.contains_key(arn) {
            self.engine_step(number, arn, Engine::Stop);
            self.tell_again(number, arn);
        } else {
            self.report_stopped(number, arn, UNKNOWN_TASK);
        }
    }

    /// Who asks for a task that has ended did not hear of its end.
    pub(crate) fn tell_again(&mut self, number: usize, arn: &str) {
        let Some(task) = self.nodes[number].tasks.get(arn).filter(|task| task.told) else { return };
        for action in task.engine.clone().step(Engine::Recover(Vec::new()), self.now) {
            if let Action::Report(report) = action {
                self.post(number, arn, say::report("default", arn, &report));
            }
        }
    }

    pub(crate) fn report_stopped(&mut self, number: usize, arn: &str, reason: &str) {
        let report = SubmitTaskStateChangeRequest {
            cluster: Some("default".to_owned()),
            task: Some(arn.to_owned()),
            status: Some("STOPPED".to_owned()),
            reason: Some(reason.to_owned()),
            ..Default::default()
        };
        self.post(number, arn, report);
    }

    pub(crate) fn post(&mut self, number: usize, arn: &str, report: SubmitTaskStateChangeRequest) {
        self.nodes[number].mail.entry(arn.to_owned()).or_default().queue.push_back(report);
        self.send_mail(number, arn);
    }

    pub(crate) fn send_mail(&mut self, number: usize, arn: &str) {
        let (replica, lossy) = (self.any_replica(), self.is_lossy());
        let node = &mut self.nodes[number];
        let wait = node.takes(self.now, 0, 10);
        let echo = (lossy && node.dice.chance(25)).then(|| node.dice.millis(10, 60_000));
        let Some(mail) = node.mail.get_mut(arn).filter(|mail| !mail.is_on_its_way) else { return };
        let Some(report) = mail.queue.front() else { return };
        mail.is_on_its_way = true;
        let call = Box::new(Call::SubmitTaskStateChange(report.clone()));
        if let Some(late) = echo {
            let call = call.clone();
            self.after(late, Event::Called { replica, from: From::Echo, call });
        }
        let from = From::Report { node: number, life: self.nodes[number].life, task: arn.to_owned() };
        self.after(wait, Event::Called { replica, from, call });
    }

    pub(crate) fn reported(&mut self, number: usize, life: u32, arn: &str, answer: Answer) {
        let node = &mut self.nodes[number];
        if node.life != life {
            return;
        }
        let Some(mail) = node.mail.get_mut(arn) else { return };
        mail.is_on_its_way = false;
        if answer == Answer::Unavailable {
            let wait = mail.wait.map_or(REPORT_WAIT_FIRST, |wait| wait * 2).min(REPORT_WAIT_MAX);
            mail.wait = Some(wait);
            let wait = wait + node.dice.millis(0, wait.as_millis() as u64);
            return self.node_after(number, wait, Happening::Reports { task: arn.to_owned() });
        }
        mail.queue.pop_front();
        mail.wait = None;
        if !mail.queue.is_empty() {
            return self.send_mail(number, arn);
        }
        node.mail.remove(arn);
        if let Some(task) =
            node.tasks.get_mut(arn).filter(|task| task.engine.status() == TaskStatus::Stopped && !task.told)
        {
            task.told = true;
            self.node_after(number, CLEANUP_WAIT, Happening::Forgets { task: arn.to_owned() });
        }
    }

    pub(crate) fn engine_step(&mut self, number: usize, arn: &str, event: Engine) {
        let now = self.now;
        let Some(task) = self.nodes[number].tasks.get_mut(arn) else { return };
        let healths = |task: &Task| -> Vec<_> {
            task.containers().iter().map(|one| (one.health_status(), one.is_ready())).collect()
        };
        let before = healths(&task.engine);
        let actions = task.engine.step(event, now);
        task.look = None;
        let is_news = healths(&task.engine) != before;
        for action in actions {
            self.act(number, arn, action);
        }
        if is_news {
            self.publish_health(number);
        }
    }

    pub(crate) fn act(&mut self, number: usize, arn: &str, action: Action) {
        let now = self.now;
        let task = arn.to_owned();
        match action {
            Action::Pull { container } => {
                let Some(image) = self.image_of(number, arn, &container) else { return };
                let family = image.split(':').next().unwrap_or_default();
                let gone =
                    family == Kind::Broken.family() || self.images_gone.get(family).is_some_and(|until| *until > now);
                let node = &mut self.nodes[number];
                let is_here = !gone && !node.images.insert(image);
                let wait = if is_here { node.takes(now, 0, 2) } else { node.takes(now, 20, 3_000) };
                self.node_after(number, wait, Happening::Pulled { task, container, gone });
            }
            Action::Start { container } => {
                let Some(run) = self.run_of(number, arn, &container) else { return };
                let node = &mut self.nodes[number];
                node.starting.insert(run.clone());
                let wait = node.takes(now, 5, 800);
                if self.sabotage == Some(Sabotage::StartsTwice) {
                    self.node_after(number, wait, Happening::Starts { run: run.clone() });
                }
                self.node_after(number, wait, Happening::Starts { run });
            }
            Action::Stop { container } => {
                // Some programs do not listen.
                let Some(run) = self.run_of(number, arn, &container) else { return };
                let node = &mut self.nodes[number];
                if !node.dice.chance(10) {
                    let wait = node.takes(now, 5, 2_000);
                    self.process_will_end(number, run, wait, 0);
                }
            }
            Action::Kill { container } => {
                if let Some(run) = self.run_of(number, arn, &container) {
                    self.process_will_end(number, run, Duration::from_millis(5), 137);
                }
            }
            Action::CheckHealth { container, purpose, check } => {
                let node = &mut self.nodes[number];
                let kind = node.tasks.get(arn).and_then(|task| Kind::of(&task.plan.payload.family));
                let (never, fails_until) = match purpose {
                    Purpose::Health => (Kind::Sickly, node.sick_until),
                    Purpose::Readiness => (Kind::Unready, node.unready_until),
                };
                let flips = now < node.flips_until && node.dice.chance(50);
                let passed = kind != Some(never) && now >= fails_until && !flips;
                let wait = node.takes(now, 1, 100);
                self.node_after(number, wait, Happening::Checked { task, container, purpose, check, passed });
            }
            Action::Report(report) => self.post(number, arn, say::report("default", arn, &report)),
            Action::Release => {}
            Action::LookAgain { at } => {
                if let Some(known) = self.nodes[number].tasks.get_mut(arn) {
                    let at = at.max(now);
                    known.look = Some(at);
                    self.node_after(number, at.since(now), Happening::Ticks { task });
                }
            }
        }
    }

    pub(crate) fn image_of(&self, number: usize, arn: &str, container: &str) -> Option<String> {
        let plan = &self.nodes[number].tasks.get(arn)?.plan;
        Some(plan.containers[plan.index_of(container)?].payload.image.clone())
    }

    pub(crate) fn run_of(&self, number: usize, arn: &str, container: &str) -> Option<Run> {
        let restarts = self.nodes[number].tasks.get(arn)?.engine.container(container)?.restarts;
        Some((arn.to_owned(), container.to_owned(), restarts))
    }

    pub(crate) fn pulled(&mut self, number: usize, arn: &str, container: String, gone: bool) {
        let event = match gone {
            true => {
                let message = format!("pull image manifest has been retried 1 time(s): {container}: not found");
                Engine::PullFailed { container, failure: Failure::new(FailureKind::Pull, message) }
            }
            false => Engine::Pulled { container, image_digest: None, pulled: None },
        };
        self.engine_step(number, arn, event);
    }
}
