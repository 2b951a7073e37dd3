//! The addresses that a webhook may have. An endpoint has a public name and is reached over TLS: whatever a name resolves to, a machine
//! of a private network has no certificate for it, so that no request of ours is ever sent to one.

/// Longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
/// Last labels of names that are not of the public DNS (RFC 6761, RFC 6762, RFC 8375, ICANN's list of collisions).
const PRIVATE_SUFFIXES: [&str; 16] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "host",
    "onion",
    "test",
    "example",
    "invalid",
    "alt",
    "arpa",
];

/// What is wrong with an address, as a rule for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(pub &'static str);

/// Checks the address of a webhook. `own_host` is the name under which this service was asked, if that is known; `to_this_machine` lets
/// `http://localhost`, `http://127.0.0.1` and `http://[::1]` pass, which is for a service that only this machine may use.
///
/// # Errors
/// The rule that it breaks.
pub fn check(url: &str, own_host: Option<&str>, to_this_machine: bool) -> Result<(), BadUrl> {
    if url.len() > MAX_URL_BYTES {
        return Err(BadUrl("at most 2048 bytes"));
    }
    // A parser of URLs drops or replaces these, and would then see another host than this check.
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(BadUrl("visible ASCII characters other than a backslash"));
    }
    let (scheme, rest) = url.split_once("://").ok_or(BadUrl(RULE))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(BadUrl("a URL without a user name and a password"));
    }
    let (host, port) = split_port(authority)?;
    let host = host.to_ascii_lowercase();
    let is_this_machine = ["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str());
    if scheme.eq_ignore_ascii_case("http") && to_this_machine && is_this_machine {
        return port;
    }
    if !scheme.eq_ignore_ascii_case("https") {
        return Err(BadUrl(RULE));
    }
    check_host(&host)?;
    if own_host.is_some_and(|own| own.eq_ignore_ascii_case(&host)) {
        return Err(BadUrl("another host than this service's"));
    }
    port
}

const RULE: &str = "a URL that starts with https://";

/// The host of an authority, and whether its port is one.
fn split_port(authority: &str) -> Result<(&str, Result<(), BadUrl>), BadUrl> {
    let end = if authority.starts_with('[') { authority.find(']').map(|end| end + 1) } else { authority.find(':') };
    let (host, port) = authority.split_at_checked(end.unwrap_or(authority.len())).ok_or(BadUrl(RULE))?;
    let is_port =
        |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit());
    let fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    Ok((host, if fine { Ok(()) } else { Err(BadUrl("a port from 1 to 65535")) }))
}

/// Whether a host is a name of the public DNS. No IP address is, however it is written: a URL takes a host whose last label is a number
/// (decimal, octal or hexadecimal) for an address.
fn check_host(host: &str) -> Result<(), BadUrl> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > MAX_HOST_BYTES || labels.len() < 2 || !labels.iter().all(is_label) {
        return Err(BadUrl("a host with a public name, such as hooks.example.com; other alphabets in Punycode"));
    }
    let last = labels.last().copied().unwrap_or_default();
    if !last.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(BadUrl("a host with a name, not an IP address"));
    }
    if PRIVATE_SUFFIXES.contains(&last) {
        return Err(BadUrl("a host with a public name, not one of a private network"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fine(url: &str) -> bool {
        check(url, Some("agents.acme.com"), false).is_ok()
    }

    #[test]
    fn an_endpoint_has_a_public_name_and_tls() {
        for url in [
            "https://hooks.acme.com",
            "https://hooks.acme.com/",
            "HTTPS://Hooks.Acme.COM:8443/a/b?c=d#e",
            "https://xn--bcher-kva.de/h",
            "https://a_b.acme.com?x",
            "https://acme.com#x@y",
            "https://1.2.3.acme.com/x:y@z",
        ] {
            assert!(fine(url), "{url}");
        }
    }

    #[test]
    fn what_is_not_a_public_name_is_refused_however_it_is_written() {
        for url in [
            // Without TLS, or no URL.
            "http://hooks.acme.com",
            "ftp://hooks.acme.com",
            "//hooks.acme.com",
            "https:hooks.acme.com",
            "https:/hooks.acme.com",
            "https://",
            "https:///path",
            "",
            // This machine.
            "https://localhost",
            "https://localhost:8787/",
            "https://a.localhost",
            "https://127.0.0.1",
            "https://127.1",
            "https://127.0.0.1.",
            "https://2130706433",
            "https://017700000001",
            "https://0x7f000001",
            "https://0x7f.1",
            "https://0x7f.0.0.0x1",
            "https://0177.0.0.01",
            "https://0",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[::]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:7f00:1]",
            "https://[0:0:0:0:0:ffff:7f00:0001]",
            // Private, link-local, metadata, carriers', multicast, reserved and 6to4.
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1",
            "https://100.100.100.200",
            "https://224.0.0.1",
            "https://255.255.255.255",
            "https://198.18.0.1",
            "https://[fe80::1]",
            "https://[fc00::1]",
            "https://[fd00:ec2::254]",
            "https://[ff02::1]",
            "https://[2002:7f00:1::]",
            "https://[64:ff9b::7f00:1]",
            // An address is not a name, whosever it is.
            "https://8.8.8.8",
            "https://[2606:4700:4700::1111]",
            // Names of private networks.
            "https://metadata.google.internal",
            "https://printer.local",
            "https://intranet",
            "https://router.lan",
            "https://nas.home.arpa",
            "https://1.0.0.127.in-addr.arpa",
            // Trailing dots, empty labels.
            "https://localhost.",
            "https://hooks.acme.com.",
            "https://hooks..acme.com",
            "https://.acme.com",
            // Credentials, and what parsers disagree about.
            "https://user@hooks.acme.com",
            "https://user:password@hooks.acme.com",
            "https://hooks.acme.com@127.0.0.1",
            "https://hooks.acme.com\\@127.0.0.1",
            "https://127.0.0.1\\.acme.com",
            "https://127.0.0.1%2f.acme.com",
            "https://hooks.acme.com%00.evil",
            "https://127。0。0。1",
            "https://①②⑦.⓪.⓪.①",
            "https://hooks.acme.com\t",
            "https://ho oks.acme.com",
            "https://hooks\n.acme.com",
            "https://[hooks.acme.com]",
            "https://hooks.acme.com:0",
            "https://hooks.acme.com:65536",
            "https://hooks.acme.com:+443",
            "https://hooks.acme.com:",
            "https://hooks.acme.com:443:443",
            // This service.
            "https://agents.acme.com/query",
            "https://AGENTS.acme.com:443/query",
        ] {
            assert!(!fine(url), "{url}");
        }
        assert!(!fine(&format!("https://{}.com", "a".repeat(64))));
        assert!(!fine(&format!("https://acme.com/{}", "a".repeat(MAX_URL_BYTES))));
    }

    #[test]
    fn this_machine_is_for_a_service_of_this_machine() {
        for url in ["http://localhost:9000/h", "http://127.0.0.1:9000", "http://[::1]:9000/"] {
            assert!(check(url, None, true).is_ok(), "{url}");
            assert!(check(url, None, false).is_err(), "{url}");
        }
        for url in ["http://10.0.0.1", "http://localhost@10.0.0.1", "http://hooks.acme.com", "http://127.0.0.2"] {
            assert!(check(url, None, true).is_err(), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_ipv4_address_passes_in_any_notation(address in any::<u32>(), form in 0_u8..6) {
            let [a, b, c, d] = address.to_be_bytes();
            let host = match form {
                0 => format!("{a}.{b}.{c}.{d}"),
                1 => format!("{address}"),
                2 => format!("0x{address:x}"),
                3 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                4 => format!("{a}.{b}.0x{:x}", address & 0xffff),
                _ => format!("[::ffff:{:x}:{:x}]", address >> 16, address & 0xffff),
            };
            let url = format!("https://{host}/");
            prop_assert!(!fine(&url), "{}", url);
        }

        #[test]
        fn whatever_passes_has_one_host_that_is_a_dotted_name(url in "https://[a-z0-9.@:/\\[\\]%x-]{1,30}") {
            if fine(&url) {
                let host = url["https://".len()..].split(['/', ':']).next().unwrap_or_default();
                let last = host.rsplit('.').next().unwrap_or_default();
                prop_assert!(host.contains('.') && last.starts_with(|c: char| c.is_ascii_lowercase()), "{}", url);
            }
        }
    }
}
