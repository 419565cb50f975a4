//! Being asked to stop: Ctrl-C, or SIGTERM from whoever started us.

/// Listens from the moment it is made, so that whoever is told that we run can stop us in order at once.
#[derive(Debug)]
pub(crate) struct Stop {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Stop {
    /// Begins to listen.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub(crate) fn listen() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { signals: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits until somebody asks for it.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub(crate) async fn asked(&mut self) -> std::io::Result<()> {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await
    }
}

/// Waits until somebody asks for it, from now on.
///
/// # Errors
/// When signals cannot be waited for.
pub(crate) async fn stopped() -> std::io::Result<()> {
    Stop::listen()?.asked().await
}
