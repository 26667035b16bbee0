//! Who may use console and API: the token of the data directory, sessions of browsers, one-time links, and how many
//! wrong tries an address has. Knows no request; the time is given.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::control::disk::{self, Disk, FileFault, OsDisk};
use crate::policy::StoredPassword;

/// The file in the data directory that holds the token.
pub(in crate::control) const TOKEN_FILE: &str = "admin.token";

/// A session of a browser ends after so long without a request, and in any case.
const IDLE: Duration = Duration::from_secs(3_600);
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
/// Sessions at once; the one that was idle longest makes room.
const SESSIONS: usize = 256;
/// How long a one-time link is good, and how many there are at once.
const LINK: Duration = Duration::from_secs(300);
const LINKS: usize = 16;
/// Wrong tries that an address has within [`WINDOW`].
const TRIES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered.
const ADDRESSES: usize = 4_096;

/// What is kept of a secret: enough to know it again.
type Fingerprint = [u8; 32];

fn fingerprint(secret: &str) -> Fingerprint {
    Sha256::digest(secret.as_bytes()).into()
}

/// 256 random bits as text.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A browser that has logged in.
#[derive(Clone, Copy, Debug)]
struct Session {
    begun: Instant,
    used: Instant,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<Fingerprint, Session>,
    links: HashMap<Fingerprint, Instant>,
    /// Wrong tries by address: how many, since when.
    wrong: HashMap<IpAddr, (u32, Instant)>,
    password: Option<StoredPassword>,
    /// Names by which the console may be asked for, beside addresses and `localhost`.
    hosts: Vec<String>,
}

/// Who may.
#[derive(Debug)]
pub(in crate::control) struct Access {
    token: Fingerprint,
    state: Mutex<State>,
}

impl Access {
    /// Reads the token of a data directory; the first time it is made.
    ///
    /// # Errors
    /// The file cannot be read or written, or others can read it.
    pub(in crate::control) fn open(data: &Path) -> Result<Access, FileFault> {
        use std::os::unix::fs::MetadataExt;
        let path = data.join(TOKEN_FILE);
        let token = match disk::read_text_if_there(&path)? {
            Some(text) => {
                let mode = std::fs::metadata(&path).map_err(FileFault::new(&path, "look at it"))?.mode();
                if mode & 0o077 != 0 {
                    let error = format!("others can read it (mode {:o}): `chmod 600` it", mode & 0o7777);
                    return Err(FileFault::new(&path, "use it")(io::Error::other(error)));
                }
                text.trim().to_owned()
            }
            None => {
                let token = secret().map_err(FileFault::new(&path, "make it"))?;
                OsDisk.write_synced(&path, format!("{token}\n").as_bytes())?;
                token
            }
        };
        const SHORTEST: usize = 16;
        if token.len() < SHORTEST {
            let error = format!("a token has at least {SHORTEST} characters: remove the file for a new one");
            return Err(FileFault::new(&path, "use it")(io::Error::other(error)));
        }
        Ok(Access { token: fingerprint(&token), state: Mutex::default() })
    }

    /// By which names the console may be asked for, beside addresses and `localhost`.
    pub(in crate::control) fn set_hosts(&self, hosts: Vec<String>) {
        self.state().hosts = hosts;
    }

    /// Whether a request may name this host. An address cannot be made to mean another machine, a name can: a web page
    /// of an attacker may have a name that leads here.
    pub(in crate::control) fn is_host(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let known = |name: &String| name.eq_ignore_ascii_case(host);
        address || host.eq_ignore_ascii_case("localhost") || self.state().hosts.iter().any(known)
    }

    /// With which password browsers may log in too.
    pub(in crate::control) fn set_password(&self, password: Option<StoredPassword>) {
        let mut state = self.state();
        if state.password.as_ref().map(StoredPassword::as_phc)
            != password.as_ref().map(StoredPassword::as_phc)
        {
            // Whoever came in by the old one is out.
            if state.password.is_some() {
                state.sessions.clear();
            }
            state.password = password;
        }
    }

    /// The password, to be verified elsewhere: that takes time.
    pub(in crate::control) fn password(&self) -> Option<StoredPassword> {
        self.state().password.clone()
    }

    /// Whether this is the token.
    pub(in crate::control) fn is_token(&self, given: &str) -> bool {
        verify_slices_are_equal(&fingerprint(given), &self.token).is_ok()
    }

    /// How long an address must wait before it may try again; `None`: it need not.
    pub(in crate::control) fn must_wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let state = self.state();
        let (tries, since) = state.wrong.get(&from)?;
        let over = *since + WINDOW;
        (*tries >= TRIES && over > now).then(|| over - now)
    }

    /// An address has tried and was wrong.
    pub(in crate::control) fn was_wrong(&self, from: IpAddr, now: Instant) {
        let wrong = &mut self.state().wrong;
        if wrong.len() >= ADDRESSES {
            wrong.retain(|_, (_, since)| *since + WINDOW > now);
        }
        if wrong.len() >= ADDRESSES {
            // So many at once: rather everybody waits than one that is forgotten tries on.
            return;
        }
        let (tries, since) = wrong.entry(from).or_insert((0, now));
        if *since + WINDOW <= now {
            (*tries, *since) = (0, now);
        }
        *tries += 1;
    }

    /// Begins a session: what its cookie holds.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub(in crate::control) fn begin(&self, now: Instant) -> io::Result<String> {
        let id = secret()?;
        let sessions = &mut self.state().sessions;
        sessions.retain(|_, session| session.is_good(now));
        if sessions.len() >= SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            oldest.map(|id| sessions.remove(&id));
        }
        sessions.insert(fingerprint(&id), Session { begun: now, used: now });
        Ok(id)
    }

    /// Whether a cookie's session is good; it is used then.
    pub(in crate::control) fn is_session(&self, id: &str, now: Instant) -> bool {
        let mut state = self.state();
        let session = state.sessions.get_mut(&fingerprint(id)).filter(|session| session.is_good(now));
        session.map(|session| session.used = now).is_some()
    }

    /// Ends a session.
    pub(in crate::control) fn end(&self, id: &str) {
        self.state().sessions.remove(&fingerprint(id));
    }

    /// Makes a link by which a browser may log in once.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub(in crate::control) fn link(&self, now: Instant) -> io::Result<String> {
        let code = secret()?;
        let links = &mut self.state().links;
        links.retain(|_, made| *made + LINK > now);
        if links.len() >= LINKS {
            let oldest = links.iter().min_by_key(|(_, made)| **made).map(|(code, _)| *code);
            oldest.map(|code| links.remove(&code));
        }
        links.insert(fingerprint(&code), now);
        Ok(code)
    }

    /// Whether this code is good; it is not a second time.
    pub(in crate::control) fn use_link(&self, code: &str, now: Instant) -> bool {
        self.state().links.remove(&fingerprint(code)).is_some_and(|made| made + LINK > now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_good(&self, now: Instant) -> bool {
        self.used + IDLE > now && self.begun + LONGEST > now
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn access() -> (Access, tempfile::TempDir) {
        let temp = tempfile::tempdir().unwrap();
        (Access::open(temp.path()).unwrap(), temp)
    }

    #[test]
    fn the_token_is_made_once_for_its_owner_only() {
        let (access, temp) = access();
        let path = temp.path().join(TOKEN_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(access.is_token(text.trim()) && !access.is_token("") && !access.is_token(&text));
        assert!(Access::open(temp.path()).unwrap().is_token(text.trim()), "the next start has the same");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Access::open(temp.path()).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_session_ends_when_it_is_idle_old_or_over() {
        let (access, _temp) = access();
        let now = Instant::now();
        let id = access.begin(now).unwrap();
        assert!(access.is_session(&id, now) && !access.is_session("else", now));
        let mut later = now;
        for _ in 0..12 {
            later += IDLE - Duration::from_secs(1);
            let good = later < now + LONGEST;
            assert_eq!(access.is_session(&id, later), good);
        }
        let idle = access.begin(now).unwrap();
        assert!(!access.is_session(&idle, now + IDLE));
        let over = access.begin(now).unwrap();
        access.end(&over);
        assert!(!access.is_session(&over, now));
    }

    #[test]
    fn sessions_are_bounded_and_the_idlest_makes_room() {
        let (access, _temp) = access();
        let now = Instant::now();
        let first = access.begin(now).unwrap();
        for second in 0..SESSIONS as u64 {
            access.begin(now + Duration::from_secs(1 + second)).unwrap();
        }
        assert!(!access.is_session(&first, now));
        assert_eq!(access.state().sessions.len(), SESSIONS);
    }

    #[test]
    fn an_address_has_a_few_tries_a_minute_and_others_are_not_concerned() {
        let (access, _temp) = access();
        let now = Instant::now();
        for _ in 0..TRIES {
            assert_eq!(access.must_wait(HERE, now), None);
            access.was_wrong(HERE, now);
        }
        assert_eq!(access.must_wait(HERE, now), Some(WINDOW));
        assert_eq!(access.must_wait("192.0.2.1".parse().unwrap(), now), None);
        assert_eq!(access.must_wait(HERE, now + WINDOW), None);
        access.was_wrong(HERE, now + WINDOW);
        assert_eq!(access.must_wait(HERE, now + WINDOW), None, "it counts anew");
    }

    #[test]
    fn a_link_is_good_once_and_not_for_long() {
        let (access, _temp) = access();
        let now = Instant::now();
        let code = access.link(now).unwrap();
        assert!(access.use_link(&code, now) && !access.use_link(&code, now));
        let late = access.link(now).unwrap();
        assert!(!access.use_link(&late, now + LINK));
    }

    #[test]
    fn another_password_ends_the_sessions() {
        let (access, _temp) = access();
        let hash = |text: &[u8]| Some(crate::control::passwords::hash(text).unwrap());
        access.set_password(hash(b"one"));
        let id = access.begin(Instant::now()).unwrap();
        access.set_password(access.password());
        assert!(access.is_session(&id, Instant::now()));
        access.set_password(hash(b"two"));
        assert!(!access.is_session(&id, Instant::now()));
        assert!(access.password().unwrap().verify(b"two"));
    }
}
