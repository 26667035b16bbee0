//! Who listens on a port, read from /proc: for an error message that says what to stop.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Who listens on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user the socket belongs to.
    pub uid: u32,
    /// The process, if this one may see its descriptors.
    pub pid: Option<u32>,
    /// The process's name.
    pub name: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.name) {
            (Some(pid), Some(name)) => write!(f, "process {pid} ({name})"),
            (Some(pid), None) => write!(f, "process {pid}"),
            _ => write!(f, "a process of user id {}", self.uid),
        }
    }
}

/// Whoever listens where `address` would.
pub(super) fn find(address: SocketAddr) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let (uid, inode) =
        tables.iter().flat_map(|table| table.lines()).find_map(|line| listening(line, address))?;
    let pid = process_with(inode);
    let name = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    Some(Holder { uid, pid, name: name.map(|name| name.trim_end().to_owned()) })
}

/// User and inode of the socket that a line of /proc/net/tcp describes, if it listens where `wanted` would.
fn listening(line: &str, wanted: SocketAddr) -> Option<(u32, u64)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (host, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    if state != LISTEN || u16::from_str_radix(port, 16).ok()? != wanted.port() {
        return None;
    }
    let host = host_address(host)?;
    let same = host.is_unspecified() || wanted.ip().is_unspecified() || host == wanted.ip().to_canonical();
    same.then_some((uid, inode))
}

/// The kernel prints addresses as words of four bytes in the machine's order.
fn host_address(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<[u8; 4]>>>()?.concat();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(v6)).to_canonical())
}

/// The process that has the socket open. Processes of other users keep theirs to themselves.
fn process_with(inode: u64) -> Option<u32> {
    let link = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == Path::new(&link))
    })
}

#[cfg(test)]
mod tests {
    use super::{host_address, listening};

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_the_kernel_are_read() {
        let line = "   1: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100";
        let at = |text: &str| listening(line, text.parse().expect("address"));
        assert_eq!(at("127.0.0.1:1883"), Some((1000, 4711)));
        assert_eq!(at("0.0.0.0:1883"), Some((1000, 4711)));
        assert_eq!(at("127.0.0.2:1883"), None);
        assert_eq!(at("127.0.0.1:1884"), None);
        let established = line.replace(" 0A ", " 01 ");
        assert_eq!(listening(&established, "127.0.0.1:1883".parse().expect("address")), None);
        assert_eq!(
            listening("  sl  local_address rem_address", "127.0.0.1:1883".parse().expect("address")),
            None
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_of_both_families_are_read() {
        assert_eq!(host_address("0100007F"), Some([127, 0, 0, 1].into()));
        assert_eq!(host_address("00000000000000000000000001000000"), "::1".parse().ok());
        assert_eq!(host_address("0000000000000000FFFF00000100007F"), Some([127, 0, 0, 1].into()));
        assert_eq!(host_address("xyz"), None);
    }
}
