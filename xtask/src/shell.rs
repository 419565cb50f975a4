//! Commands that are run, and the lines that say how far it is.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

/// A failure, in words that say what to do.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies in the workspace").to_owned()
}

/// A cargo command at the root of the workspace, with the cargo that runs this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a command to its end; its output goes where ours goes.
///
/// # Errors
/// The command as it can be repeated by hand, when it fails or is not there.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|why| format!("`{}` does not start: {why}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed; its messages stand above", line(command))) }
}

/// Runs a command and takes its output.
///
/// # Errors
/// The command and what it said, when it fails or is not there.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|why| format!("`{}` does not start: {why}", line(command)))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed something that is not text", line(command)))
    } else {
        Err(format!("`{}` failed:\n{}", line(command), String::from_utf8_lossy(&output.stderr).trim_end()))
    }
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| Some(format!("{}={:?} ", name.display(), value?)));
    let program = command.get_program().to_string_lossy().into_owned();
    let program = if program.ends_with("cargo") { "cargo".to_owned() } else { program };
    let args = command.get_args().map(|arg| format!(" {}", arg.display()));
    variables.chain([program]).chain(args).collect()
}

/// A step of several, announced before it runs and timed.
///
/// # Errors
/// Those of the step, with its name.
pub(crate) fn step(at: usize, of: usize, name: &str, run: impl FnOnce() -> Result) -> Result {
    eprintln!("[{at}/{of}] {name}");
    let began = Instant::now();
    run().map_err(|why| format!("{name}: {why}"))?;
    eprintln!("[{at}/{of}] {name}: passed in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
