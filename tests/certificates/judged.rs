//! The truth table against [`CertificatePolicy::judge`].

use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CertificatePolicy, CertificateRefusal, CommonName, Requirement};

use super::issue::now;
use super::table::cells;

#[test]
fn every_cell_is_judged_as_the_table_says() {
    for cell in cells() {
        let presented = presented::read(&cell.identity().chain);
        for requirement in [Requirement::Required, Requirement::Optional] {
            let judged = cell.policy().judge(Some(&presented), requirement, now());
            assert_eq!(judged.err(), cell.outcome.refusal(), "{cell:?}, {requirement:?}");
        }
    }
}

#[test]
fn none_at_all_is_refused_where_one_is_required() {
    let missing = Err(CertificateRefusal::Missing);
    for policy in cells().map(|cell| cell.policy()).chain([CertificatePolicy::default()]) {
        assert_eq!(policy.judge(None, Requirement::Required, now()), missing);
        assert_eq!(policy.judge(None, Requirement::Optional, now()), Ok(()));
    }
}

#[test]
fn time_is_what_the_judge_is_told() {
    let cell = cells().next().expect("the first: trusted, valid, not listed, no option");
    let presented = presented::read(&cell.identity().chain);
    let judge = |unix_secs| cell.policy().judge(Some(&presented), Requirement::Required, unix_secs).is_ok();
    assert!(judge(now()));
    assert!(!judge(now() - 100_000) && !judge(now() + 10 * 365 * 86_400));
    assert!(!judge(0) && !judge(u64::MAX));
}

#[test]
fn what_is_presented_is_read() {
    let cell = cells().next().expect("the first");
    let identity = cell.identity();
    let presented = presented::read(&identity.chain);
    assert_eq!(presented.common_name, CommonName::One("device Trusted Valid".into()));
    assert_eq!(&*presented.subject, "CN=device Trusted Valid");
    assert_eq!(presented.chain.len(), 1);
    assert_eq!(*presented.chain[0], *identity.chain[0]);
}
