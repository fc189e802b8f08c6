//! Running scenarios: the dispatcher orders all trials and is the only source of events; each
//! [`trial`] is one unit of work; [`peer`] is one process in it.

mod context;
mod dispatch;
mod interrupt;
mod lab_slots;
mod live_lab;
mod observation;
mod peer;
mod queue;
mod randomness;
mod record;
mod shell;
mod subject;
mod trial;
mod usage;

pub(crate) use self::{
    context::{RefusedNat, RunContext, refusal, runtime},
    dispatch::{Dispatch, run},
    interrupt::{Interruptible, interruptible},
    observation::TrialSpec,
    randomness::TrialSeed,
    record::Captures,
    shell::{ShellSession, open_shell},
    subject::PEER,
    trial::run_alone,
};
