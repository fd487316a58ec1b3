//! The schemes that sign a whole request, as a definition names them: what is said here are names of settings, the
//! service's name apart. The signatures themselves are made by `http::sign`.

use serde::Deserialize;

/// `auth = { sigv4 = { … } }`: AWS Signature Version 4.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigv4Entry {
    /// The signing name of the service itself, such as `ses`.
    pub service: String,
    pub region: String,
    pub access_key: String,
    pub secret: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

/// `auth = { acs3 = { … } }`: ACS3-HMAC-SHA256 of Alibaba Cloud.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acs3Entry {
    pub access_key: String,
    pub secret: String,
    /// Of temporary credentials.
    pub security_token: Option<String>,
}

/// `auth = { tc3 = { … } }`: TC3-HMAC-SHA256 of Tencent Cloud.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tc3Entry {
    /// The name of the service itself, such as `sms`.
    pub service: String,
    pub secret_id: String,
    pub secret_key: String,
    /// Of temporary credentials.
    pub token: Option<String>,
}

/// A scheme with the settings that hold its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    pub scheme: Scheme,
    /// Setting of the key's public part.
    pub key_id: String,
    /// Setting of the key's secret part.
    pub secret: String,
    /// Setting of the token that belongs to temporary credentials.
    pub token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    Sigv4 {
        service: String,
        /// Name of a setting.
        region: String,
    },
    Acs3,
    Tc3 {
        service: String,
    },
}

/// A scheme whose names `setting` takes for those of settings.
type Checked = Result<Signing, String>;

impl Sigv4Entry {
    pub fn compile(&self, setting: impl Fn(&str) -> Result<String, String>) -> Checked {
        Ok(Signing {
            scheme: Scheme::Sigv4 { service: self.service.clone(), region: setting(&self.region)? },
            key_id: setting(&self.access_key)?,
            secret: setting(&self.secret)?,
            token: self.session_token.as_deref().map(setting).transpose()?,
        })
    }
}

impl Acs3Entry {
    pub fn compile(&self, setting: impl Fn(&str) -> Result<String, String>) -> Checked {
        Ok(Signing {
            scheme: Scheme::Acs3,
            key_id: setting(&self.access_key)?,
            secret: setting(&self.secret)?,
            token: self.security_token.as_deref().map(setting).transpose()?,
        })
    }
}

impl Tc3Entry {
    pub fn compile(&self, setting: impl Fn(&str) -> Result<String, String>) -> Checked {
        Ok(Signing {
            scheme: Scheme::Tc3 { service: self.service.clone() },
            key_id: setting(&self.secret_id)?,
            secret: setting(&self.secret_key)?,
            token: self.token.as_deref().map(setting).transpose()?,
        })
    }
}
