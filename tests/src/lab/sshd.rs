//! A real ssh server, with throw-away keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Background, Family, Host, Probe, TIMEOUT, connect, sandbox, until};

/// Its port, as in the article.
pub const SSH_PORT: u16 = 2222;

/// The server, until it is dropped. Sessions are processes of their own and go on without it, up
/// to the end of the lab.
pub struct Sshd {
    server: Background,
}

impl Sshd {
    /// Starts it on the server, and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it does not, with what it says.
    pub fn start() -> Result<Self> {
        let dir = Path::new(sandbox::DIR);
        let program = program()?;
        for key in [host_key(), client_key()] {
            if !key.exists() {
                let path = key.display().to_string();
                Host::Server.must(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", &path])?;
            }
        }
        let config = dir.join("sshd_config");
        // Newer servers are rude to those who connect and say nothing, as probes do; older ones do
        // not know the setting.
        for more in ["PerSourcePenalties no\n", ""] {
            fs::write(&config, settings(dir) + more)?;
            let path = config.display().to_string();
            let check = Host::Server.run(Command::new(&program).args(["-t", "-f", &path]))?;
            if check.code != 0 && more.is_empty() {
                bail!("{check}");
            } else if check.code == 0 {
                break;
            }
        }
        let mut command = Command::new(&program);
        command.args(["-D", "-e", "-f"]).arg(&config);
        let server = Background::start(Host::Server, command, None)?;
        for family in Family::ALL {
            let address = (family.address(Host::Server), SSH_PORT).into();
            until("sshd", TIMEOUT, || {
                let probe = connect(Host::Server, address, TIMEOUT);
                matches!(probe, Ok((Probe::Open, _))).then_some(())
            })
            .with_context(|| server.lines.after(0).join("\n"))?;
        }
        Ok(Self { server })
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.server.lines.after(0)
    }
}

/// Where the client's key is.
pub(super) fn client_key() -> PathBuf {
    Path::new(sandbox::DIR).join("client_key")
}

fn host_key() -> PathBuf {
    Path::new(sandbox::DIR).join("host_key")
}

/// It insists on being called by its whole path.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut candidates = std::env::split_paths(&path).chain(more).map(|dir| dir.join("sshd"));
    candidates.find(|path| path.is_file()).context("no sshd; install it (Debian: openssh-server)")
}

fn settings(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Port {SSH_PORT}
ListenAddress 0.0.0.0
ListenAddress ::
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/client_key.pub
PidFile {dir}/sshd.pid
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
PrintMotd no
PrintLastLog no
MaxStartups 1000
LogLevel VERBOSE
"
    )
}
