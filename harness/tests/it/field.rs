//! Situations that people reported of punchers, with our own command as the subject.

use crate::test_dir::{HARNESS, TestDir};

/// Runs `script` as the subject of both sides and expects every trial to succeed. In it, `punch` is
/// the command with the settings of the trial.
fn assert_all_connect(setup: &str, script: &str) {
    let dir = TestDir::new();
    let ran = dir.run(
        &format!(
            r#"
            seed = 31
            {setup}
            [wan]
            delay_ms = 25
            [subject]
            command = ["/bin/sh", "-c", '''
punch="{HARNESS} peer --quiet --clock-offset={{clock_offset_s}} --timeout={{timeout_s}}"
{script}''']
            "#
        ),
        &[],
    );
    ran.assert_code(0);
    let failed: Vec<_> = ran
        .trials()
        .into_iter()
        .filter(|trial| trial["verdict"] != "success")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The own NAT takes the sequence numbers of the second attempt for invalid wherever the first has
/// met the peer.
#[test]
fn an_attempt_that_was_stopped_is_followed_by_one_that_connects() {
    assert_all_connect(
        r#"
        trials = 3
        [punch]
        timeout_s = 12
        [peer.b]
        start_s = 1.5
        [sweep]
        "peer.a.nat" = ["home", "home-reject"]
        "peer.b.nat" = ["home", "home-reject"]
        "#,
        r"
if [ {side} = a ]; then
    $punch {peer} </dev/null >/dev/null 2>&1 & first=$!
    sleep 1; kill -INT $first; wait $first; sleep 2
fi
exec $punch {peer}
",
    );
}

#[test]
fn peers_meet_between_outages() {
    assert_all_connect(
        r"
        trials = 4
        [punch]
        timeout_s = 20
        [peer.b]
        start_s = { uniform = [0, 4] }
        ",
        r"
if [ {side} = a ]; then
    iptables -N outage
    iptables -A INPUT -i eth0 -j outage; iptables -A OUTPUT -o eth0 -j outage
    (while :; do iptables -A outage -j DROP; sleep 1.5; iptables -F outage; sleep 0.5; done) \
        </dev/null >/dev/null 2>&1 &
fi
exec $punch {peer}
",
    );
}

/// The other account holds the ports of the same buckets: only its own processes may share them.
#[test]
fn a_second_account_of_the_machine_punches_beside_the_first() {
    assert_all_connect(
        r"
        trials = 3
        [punch]
        timeout_s = 12
        ",
        r"
if [ {side} = b ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups $punch 192.0.2.200 \
        </dev/null >/dev/null 2>&1 &
    sleep 1
fi
exec $punch {peer}
",
    );
}

/// Segments of the usual size would vanish; those of the default `--mss` do not.
#[test]
fn a_path_that_swallows_large_packets_carries_a_file() {
    assert_all_connect(
        r"
        trials = 2
        [punch]
        timeout_s = 20
        ",
        r#"
iptables -t raw -A PREROUTING -i eth0 -p tcp -m length --length 1401:65535 -j DROP
(read -r line; echo "$line"; head -c 300000 /dev/zero) | $punch {peer} |
    (read -r line; bytes=$(wc -c); [ "$bytes" = 300000 ] && echo "$line")
"#,
    );
}

/// Pairs that share both addresses, behind NATs that give the second one's packets other ports
/// where both want the same: sessions keep them apart.
#[test]
fn two_pairs_behind_the_same_addresses_do_not_disturb_each_other() {
    assert_all_connect(
        r#"
        trials = 3
        [punch]
        timeout_s = 12
        [sweep]
        "peer.b.nat" = ["home", "linux-router"]
        "#,
        r#"
echo {side} | $punch --session second {peer} >second-{side} 2>&1 & second=$!
$punch --session first {peer} || exit
wait $second || exit
[ "$(cat second-{side})" = "$(echo {side} | tr ab ba)" ]
"#,
    );
}
