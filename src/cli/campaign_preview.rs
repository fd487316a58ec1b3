//! `forewarn campaign preview ID`: each variant of the notices with rows of the list, as they would go out.

use crate::model::channel::Channel;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;

/// Show the notices as real persons would get them
#[derive(Args, Debug)]
pub struct PreviewArgs {
    /// The campaign
    #[arg(value_name = "ID")]
    pub campaign: String,
    /// For this person only, by customer reference
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// On this channel only
    #[arg(long, value_name = "C", value_parser = channel())]
    pub channel: Option<Channel>,
    /// Write the notices as files into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

fn channel() -> impl TypedValueParser<Value = Channel> {
    PossibleValuesParser::new(Channel::ALL.map(Channel::as_str))
        .try_map(|name| Channel::parse(&name).ok_or("is no channel"))
}
