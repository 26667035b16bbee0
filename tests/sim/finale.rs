//! The end of a run: everything is delivered, the retained messages are what they must be, and nothing is left.

use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::mqtt::{QoS, Version};

use crate::client::{Client, Wish};
use crate::history::{Fault, MessageNo};
use crate::plan::Character;
use crate::world::World;

impl World {
    /// All of it, in order.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.settle()?;
        self.let_time_pass()?;
        self.check_retained(Version::V5)?;
        self.check_retained(Version::V3_1_1)?;
        if self.stage.stamp.is_multiple_of(4) {
            self.stop()?;
            return Ok(());
        }
        self.say_goodbye()?;
        self.check_nothing_left()
    }

    /// Everybody comes back, reads and acknowledges everything.
    fn settle(&mut self) -> Result<(), Fault> {
        self.stage.note(None, "settling".to_owned());
        for _ in 0..50 {
            self.run_until_quiet()?;
            for client in &mut self.clients {
                client.settle(&mut self.stage)?;
            }
            self.run_until_quiet()?;
            if self.clients.iter().all(Client::is_up) {
                return self.idle();
            }
        }
        let down: Vec<usize> = self.clients.iter().filter(|c| !c.is_up()).map(|c| c.no.0).collect();
        Err(Fault::general("everybody can come back", format!("{down:?} could not")))
    }

    /// Wills become due, timers fire; everybody stays connected, or comes back.
    fn let_time_pass(&mut self) -> Result<(), Fault> {
        for _ in 0..12 {
            self.stage.now = self.stage.now.after_secs(10);
            for client in &mut self.clients {
                client.tick(&mut self.stage);
            }
            self.run_until_quiet()?;
            self.idle()?;
        }
        self.settle()
    }

    /// A fresh subscriber gets exactly what is retained.
    fn check_retained(&mut self, version: Version) -> Result<(), Fault> {
        let no = self.stage.oracle.add_client();
        let character = Character {
            version,
            expiry_secs: 0,
            receive_maximum: Some(2),
            keep_alive_secs: 0,
            alias_maximum: 2,
            fighter: true,
            tardy_percent: 0,
            talkative_percent: 0,
        };
        let mut fresh = Client::new(no, format!("fresh-{}", no.0), character);
        fresh.heard = Some(Vec::new());
        fresh.connect(&mut self.stage, Wish { clean: true, last: true })?;
        self.clients.push(fresh);
        self.run_until_quiet()?;
        let options = SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        let last = self.clients.len() - 1;
        self.clients[last].subscribe(&mut self.stage, vec![("#".to_owned(), options)], None)?;
        self.run_until_quiet()?;
        self.idle()?;
        let heard = self.clients[last].heard.take().unwrap_or_default();
        for topic in self.stage.plan.topics.clone() {
            let got: Vec<Option<MessageNo>> =
                heard.iter().filter(|d| d.topic == topic).map(|d| d.message).collect();
            let expected = self.stage.oracle.retained(topic);
            let right = match got.as_slice() {
                [] => expected.may_be_none || self.stage.oracle.are_losses_excused(),
                [Some(one)] => expected.candidates.contains(one),
                _ => false,
            };
            if !right {
                let held: Vec<usize> = self.nodes.iter().map(|node| node.shard.census().retained).collect();
                let text =
                    format!("{topic}: a fresh subscriber got {got:?}, expected {expected:?}, held {held:?}");
                return Err(Fault::of("the last retained message", no, text));
            }
        }
        Ok(())
    }

    /// Every session ends, every retained message is cleared.
    fn say_goodbye(&mut self) -> Result<(), Fault> {
        self.stage.note(None, "saying goodbye".to_owned());
        for topic in self.stage.plan.topics.clone() {
            let janitor = self.clients.len() - 1;
            self.clients[janitor].publish(&mut self.stage, topic, QoS::AtLeastOnce, true)?;
            self.run_until_quiet()?;
        }
        for index in 0..self.clients.len() {
            self.clients[index].disconnect(&mut self.stage, false, None)?;
            self.run_until_quiet()?;
            self.clients[index].connect(&mut self.stage, Wish { clean: true, last: true })?;
            self.run_until_quiet()?;
            self.clients[index].disconnect(&mut self.stage, false, None)?;
        }
        self.run_until_quiet()?;
        self.stage.now = self.stage.now.after_secs(200_000);
        self.run_until_quiet()?;
        self.idle()
    }

    fn check_nothing_left(&self) -> Result<(), Fault> {
        for (index, node) in self.nodes.iter().enumerate() {
            let census = node.shard.census();
            if census != tidemq::shard::Census::default() || node.connections() != 0 {
                return Err(Fault::general("nothing is leaked", format!("shard {index}: {census:?}")));
            }
        }
        Ok(())
    }
}
