//! One generation of policies, drawn at random, and what follows from it for a client: as the rules say it, whatever
//! any shard makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tidemq::policy::certificates::{CommonName, Distrust, Trust, Trusted};
use tidemq::policy::rules::{Access, Action, ClientMatch, Rule, TopicMatch};
use tidemq::policy::{
    CertificatePolicy, ClientNames, Credentials, Generation, ListenerPolicy, Listing, Presented, Requirement,
    Rules, Snapshot, StoredPassword, Thumbprint,
};

use crate::rng::Rng;

pub const TOPICS: [&str; 6] = ["t/0", "t/1", "a/b", "a/b/c", "own/c1/x", "x"];
pub const FILTERS: [&str; 12] =
    ["t/0", "t/1", "a/b", "x", "#", "+/+", "t/+", "a/#", "own/+/x", "own/c1/#", "$share/g/t/+", "$share/h/#"];

/// What a client can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Nobody,
    /// By a certificate of this number.
    Certificate(usize),
    /// By a password.
    User(usize),
}

/// What a connection has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    pub identity: Identity,
    /// The version of its password; `None`: nobody asked for one.
    pub password: Option<u8>,
}

impl Proof {
    /// To whom a session belongs of which this was proved.
    pub fn owner(self) -> Option<usize> {
        match (self.identity, self.password) {
            (Identity::Certificate(number), _) | (Identity::User(number), Some(_)) => Some(number),
            _ => None,
        }
    }
}

/// Where clients connect.
pub const LISTENERS: [u16; 2] = [0, 1];

/// A generation.
pub struct Decree {
    pub snapshot: Arc<Snapshot>,
    rules: Option<Rules>,
    /// The version of each user's password.
    users: BTreeMap<usize, u8>,
    credentials_required: bool,
    certificate_required: bool,
    revoked: BTreeSet<usize>,
    /// Which of the [`LISTENERS`] is closed.
    closed: Option<u16>,
    names: ClientNames,
}

/// As a failure shows it.
impl std::fmt::Debug for Decree {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Decree { rules, users, revoked, closed, names, .. } = self;
        let required = (self.credentials_required, self.certificate_required);
        let rules: Option<Vec<_>> = rules
            .as_ref()
            .map(|rules| rules.rules().iter().map(|r| (r.access, &r.client, &r.topic)).collect());
        write!(out, "required {required:?}, users {users:?}, revoked {revoked:?}, ")?;
        write!(out, "listener {closed:?} is closed, {names:?}, rules {rules:?}")
    }
}

#[derive(Debug)]
struct Everybody;

impl Trust for Everybody {
    fn fingerprint(&self) -> u64 {
        1
    }

    fn verify(&self, _chain: &[Box<[u8]>], _unix_secs: u64) -> Result<Trusted, Distrust> {
        Ok(Trusted { by: 1, until_unix_secs: u64::MAX })
    }
}

pub fn thumbprint(number: usize) -> Thumbprint {
    Thumbprint([number as u8; 32])
}

fn name(number: usize) -> String {
    format!("c{number}")
}

/// The certificate of a number.
pub fn certificate(number: usize) -> Arc<Presented> {
    Arc::new(Presented {
        thumbprint: thumbprint(number),
        subject: format!("CN={}", name(number)).into(),
        common_name: CommonName::One(name(number).into()),
        chain: Box::new([]),
    })
}

/// What is stored of a user's password of a version. No password fits it: the simulation says what is right.
pub fn stored(user: usize, version: u8) -> StoredPassword {
    let hash = format!("{user:012}{version:012}");
    let phc = format!("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0${hash}");
    phc.parse().expect("a well-formed stored password")
}

impl Decree {
    /// Generation `number`, for clients of these numbers; the first ones and the last one let much happen.
    pub fn draw(rng: &mut Rng, number: u64, clients: usize) -> Decree {
        let rules = (!rng.percent(15)).then(|| draw_rules(rng, clients));
        let mut users = BTreeMap::new();
        let mut revoked = BTreeSet::new();
        let with_users = rng.percent(70);
        for client in 0..clients {
            if with_users && rng.percent(85) {
                users.insert(client, u8::from(rng.percent(25)));
            }
            if rng.percent(12) {
                revoked.insert(client);
            }
        }
        let credentials_required = rng.percent(8);
        let certificate_required = rng.percent(8);
        let names = *rng.pick(&[ClientNames::Certificates, ClientNames::CertificatesAndUsers]);
        let listed: HashMap<_, _> = revoked.iter().map(|r| (thumbprint(*r), Listing::Revoked)).collect();
        let trust = Arc::new(Everybody);
        let certificates = CertificatePolicy { listed, trust, ..CertificatePolicy::default() };
        let stored = users.iter().map(|(user, version)| (name(*user).into(), stored(*user, *version)));
        let credentials = Credentials::new(credentials_required, stored);
        let asked = if certificate_required { Requirement::Required } else { Requirement::Optional };
        let closed = rng.percent(10).then(|| *rng.pick(&LISTENERS));
        let open = LISTENERS.into_iter().filter(|listener| Some(*listener) != closed);
        let listeners = open.map(|number| (number, ListenerPolicy { tls: true, certificate: asked }));
        let snapshot = Snapshot {
            generation: Generation(number),
            persistent_sessions: true,
            certificates: Arc::new(certificates),
            credentials: Arc::new(credentials),
            listeners: listeners.collect(),
            rules: rules.clone().map(Arc::new),
            names,
            ..Snapshot::default()
        };
        let snapshot = Arc::new(snapshot);
        Decree { snapshot, rules, users, credentials_required, certificate_required, revoked, closed, names }
    }

    /// Whether a listener is open.
    pub fn is_open(&self, listener: u16) -> bool {
        self.closed != Some(listener)
    }

    /// Whether a CONNECT at an open listener with this identity and, of a user, this version of the password is welcome.
    pub fn welcomes(&self, identity: Identity, password: u8) -> bool {
        let proof = match identity {
            Identity::User(user) if self.asks_users() => match self.users.get(&user) {
                Some(version) if *version == password => Some(password),
                _ => return false,
            },
            _ => None,
        };
        let any_open = LISTENERS.into_iter().find(|listener| self.is_open(*listener));
        any_open.is_some_and(|listener| self.accepts(Proof { identity, password: proof }, listener))
    }

    /// The version of a user's password.
    pub fn password_of(&self, user: usize) -> u8 {
        self.users.get(&user).copied().unwrap_or(0)
    }

    /// Whether credentials that are sent are looked at.
    pub fn asks_users(&self) -> bool {
        self.credentials_required || !self.users.is_empty()
    }

    /// Whether a client that has proved this at a listener may be there.
    pub fn accepts(&self, proof: Proof, listener: u16) -> bool {
        self.is_open(listener) && self.bears(proof, listener)
    }

    /// Whether nothing speaks against the client itself. A listener that is closed asks for nothing.
    pub fn bears(&self, proof: Proof, listener: u16) -> bool {
        let certificate = match proof.identity {
            Identity::Certificate(number) => !self.revoked.contains(&number),
            _ => !self.certificate_required || !self.is_open(listener),
        };
        let credentials = match (proof.identity, proof.password) {
            (Identity::User(user), Some(version)) => self.users.get(&user) == Some(&version),
            _ => !self.credentials_required,
        };
        certificate && credentials
    }

    fn name(&self, proof: Proof) -> String {
        match (proof.identity, proof.password, self.names) {
            (Identity::Certificate(number), ..) => name(number),
            (Identity::User(user), Some(_), ClientNames::CertificatesAndUsers) => name(user),
            _ => String::new(),
        }
    }

    /// Whether it may publish to a topic, or read it.
    pub fn may(&self, proof: Proof, action: Action, topic: &str) -> bool {
        let Some(rules) = &self.rules else { return true };
        rules.judge(&rules.client(&self.name(proof)), action, topic).allowed
    }

    /// Whether it may subscribe with a filter.
    pub fn may_subscribe(&self, proof: Proof, filter: &str) -> bool {
        let Some(rules) = &self.rules else { return true };
        rules.judge_filter(&rules.client(&self.name(proof)), filter).allowed
    }
}

fn draw_rules(rng: &mut Rng, clients: usize) -> Rules {
    let mut rules = Vec::new();
    for number in 0..rng.between(0, 5) {
        let client = match rng.weighted(&[4, 2, 2]) {
            0 => ClientMatch::All,
            1 => ClientMatch::Specific(name(rng.below(clients))),
            _ => ClientMatch::Pattern((*rng.pick(&["c[0-2]", "c.*", ".*[13]", "x"])).to_owned()),
        };
        let topic = match rng.weighted(&[2, 6, 2]) {
            0 => TopicMatch::All,
            1 => {
                let filter = rng.pick(&FILTERS).rsplit("$share/g/").next().unwrap_or("#");
                let filter = if filter.starts_with('$') { "#" } else { filter };
                TopicMatch::Specific(filter.to_owned())
            }
            _ => TopicMatch::Pattern("own/{%client%}/#".to_owned()),
        };
        let access =
            *rng.pick(&[Access::Deny, Access::Read, Access::Write, Access::ReadWrite, Access::ReadWrite]);
        rules.push(Rule { name: format!("rule {number}"), access, client, topic });
    }
    if rng.percent(60) {
        let (client, topic) = (ClientMatch::All, TopicMatch::All);
        rules.push(Rule { name: "the rest".to_owned(), access: Access::ReadWrite, client, topic });
    }
    Rules::compile(rules).expect("rules that are drawn are right")
}
