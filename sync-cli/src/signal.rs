//! Being asked to stop: Ctrl-C, or SIGTERM from whoever started us.

/// Waits until somebody asks for it.
///
/// # Errors
/// When signals cannot be waited for.
pub(crate) async fn stopped() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = asked.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
