//! VMs that were declared while the daemon ran, by the API and by hooks: kept in the state folder until they are removed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use siskin_neighbor::{Mac, Vm};

use crate::peer::lock;
use crate::state_file;

/// The file in the state folder.
const FILE: &str = "declared-vms.json";
/// Addresses at the most: as many as there can be claims.
const MOST: usize = siskin_neighbor::claims::MAX_CLAIMS;

/// One declared address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Declaration {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
    pub(crate) mac: String,
    pub(crate) name: String,
    pub(crate) port: Option<String>,
    /// It was declared for an incoming migration.
    pub(crate) standby: bool,
}

impl Declaration {
    /// As the machine takes it; `None`: its MAC address is none.
    pub(crate) fn vm(&self) -> Option<Vm> {
        let mac = Mac(self.mac.parse::<siskin_config::MacAddress>().ok()?.0);
        let (name, port) = (self.name.clone(), self.port.clone());
        Some(Vm { name, mac, addresses: vec![self.address], port })
    }
}

/// All of them, and their file.
#[derive(Debug)]
pub(crate) struct Declarations {
    path: PathBuf,
    all: Mutex<BTreeMap<(String, IpAddr), Declaration>>,
}

impl Declarations {
    /// Reads what an earlier run kept. A file that cannot be read is told, kept beside, and begun anew.
    pub(crate) fn load(folder: &Path) -> Declarations {
        let path = folder.join(FILE);
        let saved = match state_file::load::<Vec<Declaration>>(&path) {
            Ok(saved) => saved.unwrap_or_default(),
            Err(error) => {
                let aside = path.with_extension("bad");
                let kept = std::fs::rename(&path, &aside).is_ok();
                let kept = if kept { format!("; it is kept as {}", aside.display()) } else { String::new() };
                tracing::warn!("VMs declared while the daemon ran are forgotten: {error}{kept}");
                Vec::new()
            }
        };
        let usable = saved.into_iter().filter(|declaration| {
            let usable = declaration.vm().is_some();
            if !usable {
                tracing::warn!(address = %declaration.address, "a declared VM has no MAC address; it is left out");
            }
            usable
        });
        let all = usable.take(MOST).map(|d| ((d.interface.clone(), d.address), d)).collect();
        Declarations { path, all: Mutex::new(all) }
    }

    /// All that there are.
    pub(crate) fn list(&self) -> Vec<Declaration> {
        lock(&self.all).values().cloned().collect()
    }

    /// Keeps one more, or another in its place.
    ///
    /// # Errors
    /// It holds until the daemon ends, but could not be written.
    pub(crate) fn put(&self, declaration: Declaration) -> Result<(), String> {
        let mut all = lock(&self.all);
        let key = (declaration.interface.clone(), declaration.address);
        if all.get(&key) == Some(&declaration) {
            return Ok(());
        }
        if all.len() >= MOST && !all.contains_key(&key) {
            return Err(format!("there are {MOST} declared addresses already"));
        }
        all.insert(key, declaration);
        self.save(&all)
    }

    /// Forgets one; `false`: there was none.
    ///
    /// # Errors
    /// It is gone until the next start, but the file still has it.
    pub(crate) fn remove(&self, interface: &str, address: IpAddr) -> Result<bool, String> {
        let mut all = lock(&self.all);
        if all.remove(&(interface.to_owned(), address)).is_none() {
            return Ok(false);
        }
        self.save(&all).map(|()| true)
    }

    fn save(&self, all: &BTreeMap<(String, IpAddr), Declaration>) -> Result<(), String> {
        let list: Vec<&Declaration> = all.values().collect();
        state_file::save(&self.path, &list).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(host: u8) -> Declaration {
        Declaration {
            interface: "vmbr1".into(),
            address: IpAddr::from([198, 51, 100, host]),
            mac: "52:02:45:76:d2:35".into(),
            name: "web01".into(),
            port: Some("tap101i0".into()),
            standby: true,
        }
    }

    #[test]
    fn what_was_declared_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let before = Declarations::load(folder.path());
        assert!(before.list().is_empty());
        before.put(declaration(1)).unwrap();
        before.put(declaration(2)).unwrap();
        before.put(Declaration { standby: false, ..declaration(2) }).unwrap();
        assert_eq!(before.remove("vmbr1", declaration(1).address), Ok(true));
        assert_eq!(before.remove("vmbr1", declaration(1).address), Ok(false));
        let after = Declarations::load(folder.path());
        assert_eq!(after.list(), [Declaration { standby: false, ..declaration(2) }]);
        let vm = after.list()[0].vm().unwrap();
        assert_eq!((vm.name.as_str(), vm.addresses.len()), ("web01", 1));
    }

    #[test]
    fn a_broken_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{ nonsense").unwrap();
        let declarations = Declarations::load(folder.path());
        assert!(declarations.list().is_empty());
        assert!(folder.path().join("declared-vms.bad").exists());
        declarations.put(declaration(1)).unwrap();
        assert_eq!(Declarations::load(folder.path()).list().len(), 1);
        let bad = [Declaration { mac: "nonsense".into(), ..declaration(3) }];
        state_file::save(&folder.path().join(FILE), &bad).unwrap();
        assert!(Declarations::load(folder.path()).list().is_empty());
    }
}
