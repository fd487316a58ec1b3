//! The desk, by the real binary on both engines: everybody who needs a human is worked off, by one person at a time.

mod corrections;
mod dispositions;
mod place;
mod queue;
