//! `forewarn provider hook ROUTE`: the address to give to a provider that reports to this installation.
//!
//! It holds a secret of the route, so it is printed on request only, and stands in no other output.

use super::{Context, Failure, provider_test};
use crate::app::hooks::address_of;
use crate::app::routes::ready_route;
use crate::model::problem::Problem;
use crate::providers::catalogue::Catalogue;
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub struct ProviderHookArgs {
    /// The route of the configuration
    pub route: String,
}

pub(super) fn run(args: &ProviderHookArgs, context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    let route = provider_test::route_of(&config, &args.route)?;
    let catalogue = Catalogue::load(config.paths.providers.as_deref())?;
    let ready = ready_route(&config, route, &catalogue)?;
    let refused = |code, message: String| Problem::new(code, "", message).on_route(&route.name);
    if !ready.adapter.has_reports() {
        let message = format!("`{}` reports nothing to an address", route.provider);
        return Err(refused("no-reports", message).into());
    }
    let hook = address_of(&config, &route.name)?.ok_or_else(|| {
        let message =
            "there is no address at which a provider reaches this installation: add public_url under [server]";
        refused("no-public-url", message.to_owned())
    })?;
    let waits = ready.adapter.listens();
    context.printer.object(&json!({ "route": route.name, "hook": hook, "receipts": waits }))?;
    context.printer.line(&hook)?;
    if !waits {
        context.printer.note("the ladder does not wait for its reports: say `receipts = true` in the route's settings");
    }
    Ok(())
}
