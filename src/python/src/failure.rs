//! Errors and panics as Python exceptions.

use pyo3::exceptions::{PyException, PyKeyboardInterrupt};
use pyo3::{PyErr, create_exception};
use std::panic::{AssertUnwindSafe, catch_unwind};

create_exception!(augment_yolo, Error, PyException, "Something could not be done; the message names place and remedy.");
create_exception!(augment_yolo, ConfigError, Error, "A mistake in a config or in an argument.");

/// The exception for an error, with the same message.
pub fn exception(error: augment::error::Error) -> PyErr {
    match error.exit_code() {
        2 => ConfigError::new_err(error.to_string()),
        _ => Error::new_err(error.to_string()),
    }
}

/// What `work` returns. A panic becomes an exception that a caller can catch like every other.
pub fn caught<T>(work: impl FnOnce() -> Result<T, PyErr>) -> Result<T, PyErr> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new_err("the program panicked over this picture; please report it")))
}

/// The exception for work that a signal ended.
pub fn interrupted() -> PyErr {
    PyKeyboardInterrupt::new_err(())
}
