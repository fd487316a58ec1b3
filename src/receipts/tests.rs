//! Reports of the common servers, written for these tests.
