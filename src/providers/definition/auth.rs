//! The schemes of `auth` by name: what a definition says of them are names of settings.

use super::Auth;
use super::check::Scope;
use super::file::AuthEntry;
use reqwest::header::HeaderName;

pub(super) fn auth(entry: Option<&AuthEntry>, scope: &Scope<'_>) -> Result<Auth, String> {
    Ok(match entry {
        None => Auth::None,
        Some(AuthEntry::Basic([user, password])) => {
            Auth::Basic { user: scope.setting(user)?, password: scope.setting(password)? }
        }
        Some(AuthEntry::Bearer(token)) => Auth::Bearer { token: scope.setting(token)? },
        Some(AuthEntry::Header([name, value])) => Auth::Header {
            name: HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no possible header name"))?,
            value: scope.setting(value)?,
        },
        Some(AuthEntry::Query([name, value])) => Auth::Query { name: name.clone(), value: scope.setting(value)? },
        Some(AuthEntry::Jwt(jwt)) => {
            Auth::Jwt { key: scope.setting(&jwt.key)?, application: scope.setting(&jwt.application)? }
        }
        Some(AuthEntry::VonageSig(sig)) => {
            Auth::VonageSig { secret: scope.setting(&sig.secret)?, method: scope.setting(&sig.method)? }
        }
        Some(AuthEntry::Sigv4(entry)) => Auth::Signed(entry.compile(|name| scope.setting(name))?),
        Some(AuthEntry::Acs3(entry)) => Auth::Signed(entry.compile(|name| scope.setting(name))?),
        Some(AuthEntry::Tc3(entry)) => Auth::Signed(entry.compile(|name| scope.setting(name))?),
    })
}
