#!/usr/bin/env bash
# Breaks rules in a copy of the sources, one at a time, and says which of them the simulation finds; of the calls to
# the judge (src/shard/standing.rs), which of them the unit tests of their names find.
#
#   bench/mutants.sh [NAME...]      all, or those of these names
#
# The copy is built into a target directory of its own (MUTANTS_TARGET), kept from one mutant to the next; nothing else
# may be built there meanwhile: Cargo would take one for the other. A mutant is
# a file and a `sed` script; one that changes nothing any more is an error, not a mutant that was missed.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${MUTANTS_TARGET:-$root/target/mutants} RUST_BACKTRACE=0
export TIDEMQ_SIM_SEEDS=${TIDEMQ_SIM_SEEDS:-300} TIDEMQ_SIM_STEPS=${TIDEMQ_SIM_STEPS:-300}
wanted=" $* "
what=(--test sim)
tests=(the_broker_and_the_model_agree every_race_keeps)
found=0
missed=()
broken=()

# mutant NAME FILE SED
mutant() {
    local name=$1 file=$2 script=$3 log=$copy.log
    [ "$wanted" = "  " ] || [[ $wanted = *" $name "* ]] || return 0
    rm -rf "${copy:?}"/* && cp -r Cargo.toml Cargo.lock askama.toml src tests bench loadgen README.md "$copy" 2>/dev/null
    sed -i -E "$script" "$copy/$file"
    if cmp -s "$file" "$copy/$file"; then
        broken+=("$name")
        echo "$name: changes nothing in $file any more"
        return 0
    fi
    # Cargo looks at times: the copy's files are all of now, so only what changed is built by its content's hash.
    if ! (cd "$copy" && timeout 900 cargo test --no-run "${what[@]}" --locked >"$log" 2>&1); then
        broken+=("$name")
        echo "$name: does not compile"
        grep -m1 '^error' "$log"
        return 0
    fi
    local test
    for test in "${tests[@]}"; do
        if ! (cd "$copy" && timeout 600 cargo test "${what[@]}" --locked "$test" >"$log" 2>&1); then
            found=$((found + 1))
            echo "$name: found by $test: $(grep -am1 -oE '^(seed [0-9]+[^{]*|test .* FAILED)' "$log" | cut -c1-110)"
            return 0
        fi
    done
    missed+=("$name")
    echo "$name: MISSED"
}

mutant expiry-not-kept src/session/outgoing.rs 's/if item\.expires <= now \{/if false {/'
mutant expiry-whole src/shard/encode.rs 's/item\.expires\.0\.saturating_sub\(now\.0\)/item.expires.0/'
mutant no-local-forgotten src/shard/deliver.rs 's/let own = sub\.flags\.no_local\(\) \&\& /let own = false \&\& /'
mutant highest-qos-forgotten src/shard/deliver.rs 's/terms\.qos = terms\.qos\.max\(/terms.qos = terms.qos.min(/'
mutant qos-not-lowered src/shard/replay.rs 's/sub\.flags\.qos\(\)\.min\(run\.qos\)/run.qos/'
mutant retain-handling-1 src/shard/subscribe.rs 's/RetainHandling::SendIfNew => known\.is_err\(\)/RetainHandling::SendIfNew => true/'
mutant cleared-not-cleared src/shard/replay.rs 's/let cleared = self\.retained\.clear\(topic\);/let cleared = None;/'
mutant overtake-forgotten src/shard/publish.rs 's/if !self\.cursors\.is_empty\(\) \{/if false {/'
mutant will-at-disconnect src/shard/lifecycle.rs 's/(\| CloseCause::Stopping => WillFate::)Delete/\1Keep/'
mutant will-delay-ignored src/shard/lifecycle.rs 's/Some\(secs\) => self\.clients\[client\]\.will_at = .*/Some(_) => self.fire_will(client),/'
mutant will-survives-resume src/shard/connect.rs 's/c\.will = None; \/\/ a delayed will.*/\/\/ kept/; s/\(c\.will_at, c\.ends_at\) = \(Time::NEVER, Time::NEVER\);/c.ends_at = Time::NEVER;/'
mutant session-outlives-expiry src/shard/connect.rs 's/asked\.min\(maximum\)/maximum/'
mutant clean-start-ignored src/shard/connect.rs 's/^( +)if connect\.clean_start \{/\1if false {/'
mutant window-off-by-one src/session/outgoing.rs 's/\(self\.in_flight\.len\(\) < self\.window \|\|/(self.in_flight.len() <= self.window ||/'
mutant dup-forgotten src/session/outgoing.rs 's/f\.dup = true;/f.dup = false;/'
mutant pubrel-not-repeated src/session/outgoing.rs 's/self\.in_flight\[at\]\.offer = None;/self.remove(at);/'
mutant keep-alive-early src/shard/connect.rs 's/keep_alive_secs\) \* 1_500/keep_alive_secs) * 1_000/'
mutant larger-than-maximum src/shard/flow.rs 's/let maximum = connection\.maximum_packet as usize;/let maximum = usize::MAX;/'
mutant joining-not-awaited src/shard/subscribe.rs 's/if !join\.waiting\.is_empty\(\) \{/if false {/'
mutant credit-not-given-back src/shard/publish.rs '0,/self\.give_back\(run\);/s//let _ = run;/'
mutant holes-forgotten src/shard/deliver.rs 's/^( +)self\.close_holes\(\);/\1self.work.holed.clear();/'
mutant shared-twice src/shard/shared.rs 's/items\.retain\(\|\&item\| !self\.give_to_member\(run, item, slot, \*accept, judging\)\);/items.retain(|\&item| { self.give_to_member(run, item, slot, *accept, judging); false }); let _ = self.deliver_share(run.clone(), slot, 0..1, *accept);/'
mutant shared-backlog-stays src/shard/shared.rs 's/^( +)self\.take_back\(client, Outgoing::take_waiting_shared\);/\1let _ = Outgoing::take_waiting_shared;/'
mutant shared-to-the-offline src/shard/shared.rs 's/self\.least_busy\(run, item, slot, 0\.\.online, judging\)/self.least_busy(run, item, slot, online..all, judging)/'

# judge NAME FILE SED: of the unit tests.
judge() {
    local what=(--lib) tests=(shard::tests::judged)
    mutant "$@"
}

# Each call to the judge.
judge judge-publish src/shard/publish.rs 's/\|\| self\.may_publish\(client, publish\.topic\)/|| true/'
judge judge-alias src/shard/publish.rs 's/\|\| self\.may_publish\(client, publish\.topic\)/|| publish.properties.topic_alias.is_some() &/'
judge judge-will-connect src/shard/connect.rs 's/filter\(\|will\| !self\.may_leave_will\(principal, will\.topic\)\)/filter(|_| false)/'
judge judge-will-published src/shard/lifecycle.rs 's/if self\.may_publish\(client, will\.topic\(\)\)/if true/'
judge judge-subscribe src/shard/subscribe.rs 's/\.ok_or\(ReasonCode::NotAuthorized\)\?;/.unwrap_or(Reading::Judged);/'
judge judge-live src/shard/deliver.rs 's/let refused = sub\.flags\.judged\(\) \&\& /let refused = false \&\& /'
judge judge-retained src/shard/replay.rs 's/let refused = sub\.flags\.judged\(\) \&\& /let refused = false \&\& /'
judge judge-queued src/shard/flow.rs 's/id, dup \} if refused\(offer\)/id, dup } if dup \&\& refused(offer)/'
judge judge-queued-0 src/shard/flow.rs 's/ToSend::Once\(offer\) if refused\(\&offer\)/ToSend::Once(offer) if false \&\& refused(\&offer)/'
judge judge-resent src/shard/flow.rs 's/id, dup \} if refused\(offer\)/id, dup } if !dup \&\& refused(offer)/'
judge judge-shared src/shard/shared.rs 's/if s\.flags\.judged\(\) \&\& !self\.may_read/if false \&\& !self.may_read/'
# That overlapping rules judge messages is known when subscribing, and again after an install.
judge judged-at-subscribe src/shard/subscribe.rs 's/flags\.set_judged\(reading == Reading::Judged\)/flags.set_judged(false)/'
judge judged-at-install src/shard/standing.rs 's/sub\.flags\.set_judged\(reading == Reading::Judged\)/sub.flags.set_judged(false)/'
# Nothing is judged by an old snapshot.
judge refresh-packet src/shard/input.rs 's/if phase == Phase::Connected \&\& !self\.refresh\(client\)/if false/'
judge refresh-live src/shard/deliver.rs 's/\&\& !self\.clients\[s\.client\]\.standing\.is_current\(self\.epoch\)/\&\& false/'
judge refresh-replay src/shard/replay.rs 's/^ +self\.refresh\(key\.index\);//'
judge refresh-share src/shard/shared.rs '/fn deliver_share/,/^    }/s/self\.refresh_members\(slot\);//'
judge refresh-handover src/shard/shared.rs '/fn deliver_handover/,/^    }/s/self\.refresh_members\(slot\);//'
judge refresh-sent src/shard/mod.rs 's/if !self\.refresh\(client\) \{/if false {/'
judge refresh-will src/shard/lifecycle.rs 's/self\.refresh\(client\); \/\/ its access.*//'
judge refresh-connect src/shard/connect.rs 's/^( +)self\.refresh\(client\);/\1self.clients[client].standing.is_current(0);/'
judge sweep-forgotten src/shard/mod.rs 's/self\.swept = Some\(0\);/self.swept = None;/'
judge put-out-with-will src/shard/lifecycle.rs 's/if self\.forfeits_will\(client\)/if false/'
# Who may be there at all.
judge certificate-at-connect src/shard/connect.rs 's/match self\.judge_certificate\(listener, tls, certificate, trusted\)/match self.judge_certificate(listener, tls, certificate, trusted).or(Ok::<_, crate::policy::CertificateRefusal>(None))/'
judge certificate-at-install src/shard/standing.rs 's/judged\.map_err\(because\)\?/judged.map_err(because).unwrap_or(None)/'
judge user-at-install src/shard/standing.rs 's/\&\& !self\.snapshot\.credentials\.still_accept\(proved\)/\&\& false/'
judge owner-forgotten src/shard/connect.rs 's/\&\& principal\.owner\(\) != owner\)/\&\& owner == "\\n")/'
judge name-at-install src/shard/standing.rs 's/return Err\(\(refusal\.ground, refusal\.why\.to_owned\(\)\)\);/let _ = refusal;/'
judge listener-at-connect src/shard/connect.rs 's/if self\.snapshot\.listeners\.get\(listener\)\.is_none\(\)/if false/'
judge listener-at-install src/shard/standing.rs 's/if connection\.is_some_and\(\|came\| .*/if false {/'
judge will-of-closed src/shard/standing.rs 's/let closed = ground == Ground::Listener;/let closed = false;/'
judge will-of-closed-cut src/shard/standing.rs 's/is_err_and\(\|\(ground, _\)\| ground != Ground::Listener\)/is_err()/'

echo "$found found, ${#missed[@]} missed${missed[*]:+: ${missed[*]}}, ${#broken[@]} unusable${broken[*]:+: ${broken[*]}}"
[ ${#missed[@]} = 0 ] && [ ${#broken[@]} = 0 ]
