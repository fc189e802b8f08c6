//! Running scenarios: the dispatcher orders all trials and owns the truth; each [`trial`] is one
//! unit of work; [`peer`] is one process in it.

mod context;
mod dispatch;
mod draws;
mod interruptible;
mod observation;
mod peer;
mod queue;
mod record;
mod refused;
mod shell;
mod single;
mod standing;
mod subject;
mod trial;
mod usage;

pub(crate) use self::{
    context::{Bench, runtime},
    dispatch::{Dispatch, Ended, run},
    draws::TrialSeed,
    interruptible::interruptible,
    observation::Trial,
    record::Captures,
    refused::{Refused, refusal},
    shell::{Left, Visit, visit},
    single::single,
    subject::PEER,
};
