//! Running scenarios: the dispatcher orders all trials and owns the truth; each [`trial`] is one
//! unit of work; [`peer`] is one process in it.

mod dispatch;
mod draws;
mod peer;
mod queue;
mod subject;
mod trial;

pub(crate) use self::{
    dispatch::{Dispatch, Ended, run},
    subject::PEER,
    trial::{Bench, Captures},
};
