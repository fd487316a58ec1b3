//! The scheme `basic`: the provider calls with a user and a password that the route knows (RFC 7617).

use super::{Case, Genuine, forged};
use crate::providers::receipt::Refused;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

pub(super) fn verify(case: &Case<'_>, user: &str, password: &str) -> Result<Genuine, Refused> {
    let given = case.header("authorization")?;
    let (scheme, given) = given.split_once(' ').ok_or_else(forged)?;
    let given = STANDARD.decode(given.trim()).map_err(|_| forged())?;
    let wanted = format!("{user}:{password}");
    if !scheme.eq_ignore_ascii_case("basic") || !bool::from(given.ct_eq(wanted.as_bytes())) {
        return Err(Refused::signature("user or password are not those of the route"));
    }
    Ok(Genuine::default())
}
