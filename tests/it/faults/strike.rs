//! The faults that strike a worker at a step.

use std::fmt;

use nix::sys::signal::Signal;

use super::step::Scene;
use crate::harness::eventually;

/// What happens to the worker whose job is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9; another one is started.
    Kill,
    /// Stopped past its lease while another works; then it goes on.
    Freeze,
    /// All its connections to the database are cut.
    Cut,
}

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Kill, Self::Freeze, Self::Cut];

    /// Strikes, and ends.
    pub(super) async fn strike(self, scene: &mut Scene) {
        match self {
            Self::Kill => {
                scene.shop.kill_worker().await;
                scene.roll_back().await;
                scene.all_goes_on().await;
                scene.shop.restart_worker().await;
            }
            Self::Freeze => {
                scene.shop.worker.signal(Signal::SIGSTOP);
                let other = scene.shop.worker_beside_the_proxy().await;
                scene.roll_back().await;
                let left = "SELECT count(*) FROM jobs WHERE status = 'Running' AND crashes = 0";
                eventually("the frozen worker's jobs were rescued, or were done", async || {
                    (scene.shop.count(left).await == 0).then_some(())
                })
                .await;
                scene.all_goes_on().await;
                scene.shop.worker.signal(Signal::SIGCONT);
                scene.shop.settle().await;
                drop(other);
            }
            Self::Cut => {
                scene.proxy.cut().await;
                scene.roll_back().await;
                scene.all_goes_on().await;
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill -9",
            Self::Freeze => "frozen",
            Self::Cut => "cut off",
        })
    }
}
