//! What is wrong with a row, a file or a plan, in the shape that reports and JSON print.

/// One finding, tied to its place. The message never holds personal data: it names the field, not its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The row, counted from 1 below the heading; `None` when the whole file or plan is meant.
    pub row: Option<u64>,
    /// The field (`email`, `phone`, `ref`, ...) or key that is meant, or empty.
    pub field: String,
    /// The route that is meant, when one is.
    pub route: Option<String>,
    /// A stable word that scripts may match: `bad-email`, `no-contact`, `ragged-row`.
    pub code: &'static str,
    /// What happened and what to do next.
    pub message: String,
}

impl Problem {
    pub fn new(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { row: None, field: field.into(), route: None, code, message: message.into() }
    }

    #[must_use]
    pub fn at_row(mut self, row: u64) -> Problem {
        self.row = Some(row);
        self
    }

    #[must_use]
    pub fn on_route(mut self, route: impl Into<String>) -> Problem {
        self.route = Some(route.into());
        self
    }
}
