//! Runs whose frames are stylized by other processes.

use crate::batch::context::DatasetFacts;
use crate::batch::stop::Stop;
use crate::error::Result;
use crate::output::row::Row;
use crate::plan::task::Task;

/// Does the jobs of a run elsewhere; see [`FrameStylizer::work`](crate::batch::frame_stylizer::FrameStylizer::work).
pub trait Executor {
    /// Does `tasks`, all of one condition, until they are done or `stop` is asked for, and gives every row to
    /// `finished`. It may do a task twice: its files are then the same, and the first row counts.
    ///
    /// # Errors
    /// Those of `finished`, and when it can do nothing more.
    fn execute(
        &mut self,
        tasks: &mut dyn ExactSizeIterator<Item = Task>,
        facts: &DatasetFacts,
        stop: &Stop,
        finished: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()>;
}
