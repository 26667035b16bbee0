//! What a client does of its own accord, at random.

use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::mqtt::{QoS, Version};

use super::Client;
use super::send::Wish;
use crate::history::Fault;
use crate::stage::Stage;

impl Client {
    /// One thing that it may do.
    pub fn act(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return self.act_offline(stage) };
        if stage.rng.below(1_000) < stage.plan.cut_permille {
            return self.lose(stage);
        }
        if stage.rng.below(1_000) < stage.plan.stall_permille {
            conn.reading = false;
        }
        if !conn.reading && stage.rng.percent(10) {
            conn.reading = true;
        }
        if !conn.up {
            return self.act_early(stage);
        }
        if stage.rng.percent(self.character.talkative_percent) {
            for _ in 0..stage.rng.between(1, stage.plan.burst) {
                self.publish_something(stage)?;
            }
            return Ok(());
        }
        match stage.rng.weighted(&[30, 12, 30, 6, 4, 3]) {
            0 => self.subscribe_something(stage),
            1 => self.unsubscribe_something(stage),
            2 => self.acknowledge_some(stage),
            3 => {
                self.ping(stage);
                Ok(())
            }
            4 => {
                let with_will = stage.rng.percent(30);
                let expiry = if stage.rng.percent(20) { Some(*stage.rng.pick(&[0, 3, 600])) } else { None };
                self.disconnect(stage, with_will, expiry)
            }
            // Takes its own session over: the old connection is left as it is.
            _ => self.reconnect(stage),
        }
    }

    fn act_offline(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        if stage.rng.percent(30) { self.reconnect(stage) } else { Ok(()) }
    }

    fn reconnect(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        if !self.may_connect(stage) {
            return Ok(());
        }
        let clean = stage.rng.percent(15);
        self.connect(stage, Wish { clean, last: false })
    }

    /// Before CONNACK: what needs no session may already be sent.
    fn act_early(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        match stage.rng.below(12) {
            0 => {
                let topic = *stage.rng.pick(&stage.plan.topics);
                self.publish(stage, topic, QoS::AtMostOnce, false)
            }
            1 => self.subscribe_something(stage),
            2 if self.character.fighter => self.reconnect(stage),
            _ => Ok(()),
        }
    }

    fn publish_something(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let topic = *stage.rng.pick(&stage.plan.topics);
        let qos = *stage.rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        let retain = stage.rng.percent(stage.plan.retain_percent);
        self.publish(stage, topic, qos, retain)
    }

    fn subscribe_something(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let v5 = self.character.version == Version::V5;
        let mut filters: Vec<(String, SubscriptionOptions)> = Vec::new();
        for _ in 0..stage.rng.between(1, 3) {
            let known = self.recent.clone().filter(|_| stage.rng.percent(20));
            let filter = known.unwrap_or_else(|| (*stage.rng.pick(&stage.plan.filters)).to_owned());
            let qos =
                *stage.rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]);
            let handling = *stage.rng.pick(&[
                RetainHandling::Send,
                RetainHandling::SendIfNew,
                RetainHandling::DoNotSend,
            ]);
            let options = SubscriptionOptions {
                qos,
                no_local: v5 && stage.rng.percent(15),
                retain_as_published: v5 && stage.rng.percent(20),
                retain_handling: if v5 { handling } else { RetainHandling::Send },
            };
            if filters.iter().all(|(known, _)| *known != filter) {
                filters.push((filter, options));
            }
        }
        let id = if v5 && stage.rng.percent(40) { Some(stage.rng.between(1, 400) as u32) } else { None };
        self.recent = filters.last().map(|(filter, _)| filter.clone());
        self.subscribe(stage, filters, id)
    }

    fn unsubscribe_something(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let known: Vec<String> = self.session.filters.iter().cloned().collect();
        let filter = if known.is_empty() || stage.rng.percent(10) {
            (*stage.rng.pick(&stage.plan.filters)).to_owned()
        } else {
            stage.rng.pick(&known).clone()
        };
        self.unsubscribe(stage, vec![filter])
    }

    /// The wire breaks.
    pub fn lose(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let Some(conn) = &self.conn else { return Ok(()) };
        let no = conn.socket;
        // What is still in the buffers may be read first, in part.
        let most = stage.net.socket(no).down.len();
        let read = stage.rng.between(0, most);
        self.read(stage, read)?;
        if self.conn.is_none() {
            return Ok(());
        }
        let kept = stage.net.socket(no).up.len();
        let kept = if stage.rng.percent(50) { kept } else { stage.rng.between(0, kept) };
        stage.note(Some(self.no), format!("{no:?} is cut, {kept} bytes arrive"));
        stage.net.socket(no).cut(kept);
        self.leave(stage)?;
        self.zombies.retain(|z| z.socket != no);
        Ok(())
    }

    /// Keeps its connection alive, if it can be.
    pub fn tick(&mut self, stage: &mut Stage) {
        let Some(conn) = &self.conn else { return };
        let keep_alive = u64::from(conn.keep_alive_secs) * 1_000_000;
        if conn.up && keep_alive > 0 && stage.now.0 >= conn.last_sent.0 + keep_alive / 2 {
            self.ping(stage);
        }
    }

    /// At the end: connected, reading, everything acknowledged.
    pub fn settle(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        if let Some(conn) = &mut self.conn {
            conn.reading = true;
            self.acknowledge_some(stage)
        } else if self.may_connect(stage) {
            self.connect(stage, Wish { clean: false, last: false })
        } else {
            Ok(())
        }
    }
}
