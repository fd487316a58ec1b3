//! TLS and login: what is verified, what is refused, and that nothing goes out in clear instead.

use super::server::{Act, Relay, Security};
use super::{FULL, adapter, send_one, settings};
use forewarn::model::outcome::Class;
use forewarn::providers::settings::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;

const WITH_AUTH: &[&str] = &["PIPELINING", "AUTH PLAIN LOGIN"];
const LOGIN_ONLY: &[&str] = &["AUTH LOGIN"];

/// An authority of our own and a relay certificate for 127.0.0.1 signed by it.
struct Authority {
    dir: tempfile::TempDir,
    config: Arc<ServerConfig>,
}

fn authority(named: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![named.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
    Authority { dir, config: Arc::new(config) }
}

fn secured(address: SocketAddr, tls: &str, authority: &Authority) -> Settings {
    settings(address).with("tls", tls).with("ca_file", authority.dir.path().join("ca.pem").display())
}

fn with_login(settings: Settings) -> Settings {
    settings.with("username", "user@example.com").with_secret("password", "s3cret")
}

#[tokio::test]
async fn starttls_and_implicit_tls_carry_login_and_notice() {
    let authority = authority("127.0.0.1");
    for (tls, security) in [
        ("starttls", Security::StartTls(Arc::clone(&authority.config))),
        ("implicit", Security::Implicit(Arc::clone(&authority.config))),
    ] {
        let relay = Relay::start(WITH_AUTH, security).await;
        let smtp = adapter(&with_login(secured(relay.address, tls, &authority)));
        assert_eq!(send_one(&smtp).await.class, Class::Accepted, "{tls}");
        let commands = relay.commands();
        let auth = commands.iter().position(|c| c.starts_with("AUTH PLAIN ")).unwrap();
        let hello_again = commands[..auth].iter().rposition(|c| c.starts_with("EHLO")).unwrap();
        if tls == "starttls" {
            assert!(commands.iter().position(|c| c == "STARTTLS").unwrap() < hello_again);
        }
        let found = smtp.check().await.unwrap();
        assert!(found.contains("verified TLS, logged in, with pipelining"), "{found}");
    }
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_breaks_the_route() {
    let (ours, other, misnamed) = (authority("127.0.0.1"), authority("127.0.0.1"), authority("mail.example.org"));
    for (tls, presented, trusted) in [
        ("starttls", &ours, &other),
        ("implicit", &ours, &other),
        ("starttls", &misnamed, &misnamed),
        ("implicit", &misnamed, &misnamed),
    ] {
        let config = Arc::clone(&presented.config);
        let security = if tls == "implicit" { Security::Implicit(config) } else { Security::StartTls(config) };
        let relay = Relay::start(WITH_AUTH, security).await;
        let outcome = send_one(&adapter(&with_login(secured(relay.address, tls, trusted)))).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::RouteBroken, "tls"), "{}", outcome.text);
        assert!(relay.commands().iter().all(|c| !c.starts_with("AUTH") && !c.starts_with("MAIL")));
    }
}

#[tokio::test]
async fn tls_that_cannot_be_had_is_never_replaced_by_clear_text() {
    let authority = authority("127.0.0.1");
    let config = || Security::StartTls(Arc::clone(&authority.config));
    let none = Relay::start(WITH_AUTH, Security::None).await;
    let later = Relay::start(WITH_AUTH, config()).await;
    later.next("STARTTLS", Act::Say("454 4.7.0 TLS not available"));
    let refused = Relay::start(WITH_AUTH, config()).await;
    refused.next("STARTTLS", Act::Say("502 5.5.1 not implemented"));
    let injected = Relay::start(WITH_AUTH, config()).await;
    injected.next("STARTTLS", Act::Say("220 go ahead\r\n250-forged\r\n250 AUTH PLAIN"));
    for (relay, tls, class, code) in [
        (&none, "starttls", Class::RouteBroken, "starttls-missing"),
        (&none, "implicit", Class::RouteBroken, "tls"),
        (&later, "starttls", Class::Temporary, "454 4.7.0"),
        (&refused, "starttls", Class::RouteBroken, "502 5.5.1"),
        (&injected, "starttls", Class::RouteBroken, "starttls-injection"),
    ] {
        let outcome = send_one(&adapter(&with_login(secured(relay.address, tls, &authority)))).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{}", outcome.text);
        assert!(outcome.text.contains("route `relay`"), "{}", outcome.text);
        assert!(relay.commands().iter().all(|c| !c.starts_with("AUTH") && !c.starts_with("MAIL")));
    }
}

#[tokio::test]
async fn refused_logins_name_the_route_and_the_settings_but_no_secret() {
    for (offers, said, class, code) in [
        (WITH_AUTH, Some("535 5.7.8 Authentication failed"), Class::RouteBroken, "535 5.7.8"),
        (WITH_AUTH, Some("454 4.7.0 Temporary failure"), Class::Temporary, "454 4.7.0"),
        (FULL, None, Class::RouteBroken, "auth-missing"),
    ] {
        let relay = Relay::start(offers, Security::None).await;
        if let Some(said) = said {
            relay.next("AUTH", Act::Say(said));
            relay.next("AUTH", Act::Say(said));
        }
        let smtp = adapter(&with_login(settings(relay.address)));
        let outcome = send_one(&smtp).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{}", outcome.text);
        assert!(outcome.text.contains("route `relay`"), "{}", outcome.text);
        if class == Class::RouteBroken {
            assert!(outcome.text.contains("`password`"), "{}", outcome.text);
        }
        let problem = smtp.check().await.unwrap_err();
        assert_eq!(problem.code, "route-check");
        for text in [outcome.text, problem.message, format!("{smtp:?}")] {
            assert!(!text.contains("s3cret") && !text.contains("czNjcmV0"), "{text}");
        }
    }
}

#[tokio::test]
async fn login_by_two_prompts() {
    let relay = Relay::start(LOGIN_ONLY, Security::None).await;
    relay.next("AUTH", Act::Say("334 VXNlcm5hbWU6"));
    relay.next("DXNLCKBLEGFTCGXLLMNVBQ==", Act::Say("334 UGFzc3dvcmQ6"));
    relay.next("CZNJCMV0", Act::Say("235 2.7.0 welcome"));
    assert_eq!(send_one(&adapter(&with_login(settings(relay.address)))).await.class, Class::Accepted);
    assert!(relay.commands().iter().any(|c| c == "AUTH LOGIN"));
}
