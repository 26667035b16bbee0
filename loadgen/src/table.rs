//! The report as people read it.

use std::fmt::{self, Display, Formatter};

use crate::report::{BrokerUse, Report};
use crate::show::{bytes, count, nanos};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.scenario, self.settings)?;
        if let Some(seed) = self.seed {
            writeln!(f, "seed {seed}")?;
        }
        self.write_latencies(f)?;
        self.write_messages(f)?;
        self.write_totals(f)?;
        if let Some(broker) = &self.broker {
            write_broker(broker, f)?;
        }
        self.write_generator(f)?;
        for (why, n) in &self.failures {
            writeln!(f, "  {n} x {why}")?;
        }
        for example in &self.examples {
            writeln!(f, "  {example}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        let verdict = if self.problems.is_empty() { "ok" } else { "failed" };
        writeln!(f, "{verdict}")
    }
}

impl Report {
    fn write_latencies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.latencies.is_empty() {
            return Ok(());
        }
        let heads = ["count", "p50", "p90", "p99", "p99.9", "p99.99", "max"];
        write!(f, "\n{:<17}", "latency")?;
        for head in heads {
            write!(f, "{head:>12}")?;
        }
        writeln!(f)?;
        for l in &self.latencies {
            write!(f, "{:<17}{:>12}", l.title, count(l.count))?;
            for value in [l.p50_ns, l.p90_ns, l.p99_ns, l.p99_9_ns, l.p99_99_ns, l.max_ns] {
                write!(f, "{:>12}", nanos(value))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_messages(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.messages.is_empty() {
            return Ok(());
        }
        let heads = ["published", "expected", "delivered", "lost", "twice", "twice (DUP)", "out of order"];
        write!(f, "\n{:<9}", "messages")?;
        for head in heads {
            write!(f, "{head:>14}")?;
        }
        writeln!(f)?;
        for m in &self.messages {
            let d = &m.deliveries;
            write!(f, "{:<9}", format!("QoS {}", m.qos))?;
            for value in [m.published, m.expected, d.unique, m.lost, d.repeated, d.repeated_dup, d.late] {
                write!(f, "{:>14}", count(value))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_totals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rate = |n: u64, secs: f64| count((n as f64 / secs.max(1e-9)) as u64);
        let (ready, clients, secs) = (count(self.ready), count(self.clients), self.connect_secs);
        writeln!(f, "\nclients    {ready} of {clients} ready in {secs:.2} s ({}/s)", rate(self.ready, secs))?;
        if let Some(tls) = &self.tls {
            writeln!(f, "TLS        {} handshakes, {} resumed", count(tls.handshakes), count(tls.resumed))?;
            for (on, n) in &tls.agreed {
                writeln!(f, "           {} x {on}", count(*n))?;
            }
            writeln!(f, "           {}", tls.settings)?;
        }
        if self.measured_secs > 0.0 {
            let (published, delivered) = (self.published_per_sec as u64, self.delivered_per_sec as u64);
            writeln!(
                f,
                "rates      {} published/s, {} delivered/s over {:.2} s",
                count(published),
                count(delivered),
                self.measured_secs
            )?;
        }
        if self.acknowledged + self.unacknowledged > 0 {
            let (done, open) = (count(self.acknowledged), count(self.unacknowledged));
            writeln!(f, "QoS 1, 2   {done} acknowledged, {open} not")?;
        }
        if let Some(spread) = self.spread {
            let (min, max, members) = (count(spread.min), count(spread.max), count(spread.members));
            writeln!(
                f,
                "spread     {min} to {max} messages a member, mean {:.1}, {members} members",
                spread.mean
            )?;
        }
        if self.seed.is_some() {
            writeln!(f, "cuts       {}, sessions lost {}", count(self.cuts), self.lost_sessions)?;
        }
        Ok(())
    }

    fn write_generator(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(cost) = self.generator_cpu_ns_per_delivery else {
            if self.ready == 0 {
                return Ok(());
            }
            return writeln!(f, "generator  {:.1} us CPU a connection", self.generator_cpu_us_per_connection);
        };
        write!(f, "generator  {cost:.0} ns CPU a delivery;")?;
        for w in &self.generator {
            let (busy, busiest) = (w.busy_share * 100.0, w.busiest_share * 100.0);
            write!(f, " core {} busy {busy:.0} %", w.core)?;
            if busiest > 0.0 {
                write!(f, " (busiest second {busiest:.0} %)")?;
            }
        }
        writeln!(f)
    }
}

fn write_broker(broker: &BrokerUse, f: &mut Formatter<'_>) -> fmt::Result {
    let mut parts = Vec::new();
    if let Some(ns) = broker.cpu_ns_per_delivery {
        parts.push(format!("{ns:.0} ns CPU a delivery"));
    }
    if let Some(us) = broker.cpu_us_per_connection {
        let a_core =
            if us > 0.0 { format!(" ({}/s a core)", count((1e6 / us) as u64)) } else { String::new() };
        parts.push(format!("{us:.1} us CPU a connection{a_core}"));
    }
    if let Some(b) = broker.resident_bytes_per_connection {
        parts.push(format!("{} resident a connection", bytes(b as u64)));
    }
    if let Some(b) = broker.resident_bytes {
        parts.push(format!("{} resident", bytes(b)));
    }
    if let Some(share) = broker.idle_cpu_share {
        parts.push(format!("{:.2} % of a core while idle", share * 100.0));
    }
    writeln!(f, "broker     {}", parts.join(", "))
}
