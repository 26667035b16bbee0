//! A message arrives: retained, matched, owed to everybody who subscribes.

use std::rc::Rc;

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::RetainHandling;
use tidemq::mqtt::topic;
use tidemq::time::Time;

use super::session::{Form, Owed, Subscription};
use super::{Message, Model, Taken};
use crate::history::ClientNo;

impl Model {
    /// Returns whether somebody gets it.
    pub(super) fn publish(&mut self, message: Rc<Message>) -> bool {
        let expires = message.expiry_secs.map_or(Time::NEVER, |secs| self.now.after_secs(u64::from(secs)));
        let taken = Taken { message, at: self.now, expires };
        let message = &taken.message;
        if message.retain {
            if message.payload.0.is_empty() {
                self.retained.remove(&message.topic); // [MQTT-3.3.1-6, 3.3.1-7]
            } else {
                self.retained.insert(message.topic.clone(), taken.clone());
            }
        }
        let mut matched = self.share(&taken);
        let step = self.step;
        for (client, session) in &mut self.sessions {
            let subscriptions = session.subscriptions.iter().filter(|(f, _)| !f.starts_with("$share/"));
            let own = message.publisher == *client;
            let heard: Vec<&Subscription> = subscriptions
                .filter(|(filter, s)| topic::matches(filter, &message.topic) && !(own && s.options.no_local))
                .map(|(_, s)| s)
                .collect();
            let Some(form) = live_form(&taken, &heard) else { continue };
            matched = true;
            // QoS 0 is not kept for whoever is not there; who just went may be back when it comes.
            let gone = session.conn.is_none() && session.detached == step;
            let kept = form.qos != QoS::AtMostOnce || session.conn.is_some();
            if kept || gone {
                session.owed.push(Owed {
                    form,
                    step,
                    replay_of: None,
                    twin: false,
                    maybe_sent: gone,
                    optional: !kept,
                });
            }
        }
        matched
    }

    /// A subscription is made: what is retained and matches comes, if it asks for that `[MQTT-3.3.1-9..-11]`.
    pub(super) fn replay(
        &mut self,
        client: ClientNo,
        filter: &str,
        Subscription { options, id }: Subscription,
        old: Option<Subscription>,
    ) {
        let is_new = old.is_none();
        let asked = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        // A replay that is under way goes on by what the subscription says now.
        let own_now = !asked && !options.no_local && old.is_some_and(|old| old.options.no_local);
        if !asked && !own_now {
            return;
        }
        let (now, step) = (self.now, self.step);
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if asked {
            session.excuse(|o| o.replay_of.as_deref() == Some(filter));
        }
        for (name, taken) in &self.retained {
            let own = taken.message.publisher == client;
            if (own && options.no_local)
                || (own_now && !own)
                || taken.expires <= now
                || !topic::matches(filter, name)
            {
                continue;
            }
            let qos = options.qos.min(taken.message.qos);
            // The RETAIN flag is set whatever Retain As Published says [MQTT-3.3.1-8].
            let form = Form {
                taken: taken.clone(),
                qos,
                retain: true,
                ids: id.into_iter().collect(),
                ids_open: false,
            };
            session.owed.push(Owed {
                form,
                step,
                replay_of: Some(filter.to_owned()),
                twin: false,
                maybe_sent: false,
                optional: own_now,
            });
        }
    }
}

/// One copy, with the highest QoS `[MQTT-3.3.4-2]` and all identifiers `[MQTT-3.3.4-3..-5]`.
fn live_form(taken: &Taken, heard: &[&Subscription]) -> Option<Form> {
    let qos = heard.iter().map(|s| s.options.qos).max()?.min(taken.message.qos);
    let mut ids: Vec<u32> = heard.iter().filter_map(|s| s.id).collect();
    ids.sort_unstable();
    let retain = taken.message.retain && heard.iter().any(|s| s.options.retain_as_published);
    Some(Form { taken: taken.clone(), qos, retain, ids, ids_open: false })
}
