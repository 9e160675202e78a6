//! argon2id in memory that goes back to the system after each hash, for processes that live long and hash now and then.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{
        CustomizedPasswordHasher, Error, PasswordHasher, Result,
        phc::{Output, ParamsString, Salt},
    },
};

/// What is asked of the allocator, in blocks of 1 KiB: just over 32 MiB, from where on glibc maps memory and unmaps it when it
/// is freed (mallopt(3), `M_MMAP_THRESHOLD`). Of less it would keep the 19 MiB of a hash for each thread that ever hashed.
/// What is not touched costs nothing.
const RESERVED: usize = 33 * 1024;

/// Hashes as [`Argon2`] does, and verifies what it hashed.
#[derive(Clone, Debug)]
pub(super) struct Argon2id(Argon2<'static>);

impl Argon2id {
    pub(super) fn new(params: Params) -> Self {
        Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    pub(super) fn params(&self) -> &Params {
        self.0.params()
    }
}

impl PasswordHasher<PasswordHash> for Argon2id {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> Result<PasswordHash> {
        let params = self.params();
        let mut memory: Vec<Block> = Vec::new();
        memory.try_reserve_exact(params.block_count().max(RESERVED)).map_err(|_| Error::OutOfMemory)?;
        memory.resize(params.block_count(), Block::default());
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.0.hash_password_into_with_memory(password, salt, &mut output, &mut memory)?;
        Ok(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(&output)?),
        })
    }
}

/// Hashes with the figures of another hash, so that `PasswordVerifier` comes of itself.
impl CustomizedPasswordHasher<PasswordHash> for Argon2id {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> Result<PasswordHash> {
        let is_ours = algorithm.is_none_or(|name| name == Algorithm::Argon2id.as_str())
            && version.is_none_or(|version| version == u32::from(Version::V0x13));
        if is_ours { Self::new(params).hash_password_with_salt(password, salt) } else { Err(Error::Algorithm) }
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier as _;

    use super::*;

    #[test]
    fn hashes_are_those_of_argon2() {
        let params = Params::new(64, 2, 1, None).expect("allowed");
        let ours = Argon2id::new(params.clone());
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (password, salt) = (b"some password", b"sixteen bytes of");
        let hash = ours.hash_password_with_salt(password, salt).expect("a hash");
        assert_eq!(hash, theirs.hash_password_with_salt(password, salt).expect("a hash"));
        for (given, right) in [(&password[..], true), (b"some passwort", false), (b"", false)] {
            assert_eq!(ours.verify_password(given, &hash).is_ok(), right);
        }
        let older = Argon2::new(Algorithm::Argon2i, Version::V0x10, Params::new(64, 2, 1, None).expect("allowed"));
        let older = older.hash_password_with_salt(password, salt).expect("a hash");
        assert!(ours.verify_password(password, &older).is_err(), "only what was made here is taken");
    }
}
