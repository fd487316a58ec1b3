//! The HTTP client of a route: rustls with ring, public roots or the route's own, nothing taken from the environment.

use crate::model::problem::Problem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than the keep-alive of common servers (5 s): a connection that the server is just closing would make an
/// `unknown` of a notice that never arrived.
const IDLE: Duration = Duration::from_secs(3);

/// `timeout` bounds a whole exchange, so connecting gets half of it at most.
pub fn client(
    route: &str,
    ca_file: Option<&str>,
    timeout: Duration,
    concurrency: usize,
) -> Result<reqwest::Client, Problem> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(route, ca_file)?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .pool_max_idle_per_host(concurrency.max(1))
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("forewarn/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| Problem::new("bad-setting", "", format!("route `{route}`: the HTTP client could not be made")))
}

fn tls(route: &str, ca_file: Option<&str>) -> Result<ClientConfig, Problem> {
    let bad = |message: String| Problem::new("bad-setting", "ca_file", format!("route `{route}`: {message}"));
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let pem = fs_err::read(path).map_err(|error| bad(format!("`ca_file` cannot be read: {error}")))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
                added.ok_or_else(|| bad("`ca_file` holds something that is no certificate in PEM form".to_owned()))?;
            }
            if roots.is_empty() {
                return Err(bad("`ca_file` holds no certificate in PEM form".to_owned()));
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| bad("TLS could not be set up".to_owned()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// True where clear text stays in the house: this machine, a private network, or a name that only a local resolver
/// can know.
pub fn may_be_plaintext(url: &reqwest::Url) -> bool {
    if url.scheme() == "https" {
        return true;
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => !host.contains('.') || host.ends_with(".localhost") || host.ends_with(".internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_in_the_house() {
        for (url, want) in [
            ("https://api.example.com", true),
            ("http://api.example.com", false),
            ("http://8.8.8.8", false),
            ("http://127.0.0.1:13013", true),
            ("http://[::1]:80", true),
            ("http://10.1.2.3", true),
            ("http://192.168.0.9", true),
            ("http://kannel:13013", true),
            ("http://localhost", true),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(may_be_plaintext(&reqwest::Url::parse(url).expect(url)), want, "{url}");
        }
    }
}
