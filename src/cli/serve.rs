//! `forewarn serve`: a worker, and what others reach by HTTP, in one process.

use super::worker::at_work;
use super::{Context, Failure};
use crate::dispatch::Until;
use clap::Args;

/// Send what is due, and answer probes and metrics on [server] listen
#[derive(Args, Debug)]
pub struct ServeArgs {}

pub(super) fn run(_: &ServeArgs, context: &Context) -> Result<(), Failure> {
    let listen = context.config()?.server.listen;
    context.block_on(at_work(context, Some(listen), Until::Stopped))
}
