//! Queries of the customer's own databases.
