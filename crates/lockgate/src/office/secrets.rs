//! What is kept of a password that is told in clear: RabbitMQ's hash, and the keys of SCRAM,
//! which cannot be made of the hash. The password itself is not.

use crate::fault::Fault;
use crate::random;
use lockgate_auth::{PasswordHash, scram};
use lockgate_model::{Hash, Scram, User};

/// Of a password; an empty one is none.
pub fn secrets(password: &str) -> Result<(Hash, Option<Scram>), Fault> {
    if password.is_empty() {
        return Ok((Hash::default(), None));
    }
    Ok((PasswordHash::of(password.as_bytes(), random()?).hash(), Some(keys(password)?)))
}

fn keys(password: &str) -> Result<Scram, Fault> {
    let salt: [u8; 16] = random()?;
    Ok(scram::keys(password.as_bytes(), &salt, scram::ITERATIONS))
}

/// Gives a user that is being imported what belongs to its password. What is known of the same
/// password already stays, so that importing a file again changes nothing.
pub fn complete(
    user: &mut User,
    password: Option<&str>,
    known: Option<&User>,
) -> Result<(), Fault> {
    let Some(password) = password else {
        // A file of RabbitMQ's says only the hash: the keys belong to that.
        let same = known.filter(|known| known.hash == user.hash);
        if let (None, Some(known)) = (&user.scram, same) {
            user.scram = known.scram.clone();
        }
        return Ok(());
    };
    let is_same = |known: &&User| {
        PasswordHash::read(&known.hash).is_some_and(|hash| hash.is_of(password.as_bytes()))
    };
    (user.hash, user.scram) = match known.filter(is_same) {
        Some(known) => {
            let scram = match &known.scram {
                Some(scram) => scram.clone(),
                None => keys(password)?,
            };
            (known.hash.clone(), Some(scram))
        }
        None => secrets(password)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(user: &User, password: Option<&str>, known: Option<&User>) -> User {
        let mut user = user.clone();
        complete(&mut user, password, known).unwrap();
        user
    }

    #[test]
    fn a_clear_password_is_kept_as_hash_and_keys_and_the_same_one_changes_nothing() {
        let user = User { name: "u".into(), ..User::default() };
        let first = completed(&user, Some("p"), None);
        assert!(PasswordHash::read(&first.hash).unwrap().is_of(b"p"));
        let keys = first.scram.clone().unwrap();
        assert_eq!(keys, scram::keys(b"p", &keys.salt, scram::ITERATIONS));
        assert_eq!(completed(&user, Some("p"), Some(&first)), first);
        let other = completed(&user, Some("q"), Some(&first));
        assert!(other.hash != first.hash && other.scram != first.scram);
        assert_eq!(completed(&user, Some(""), Some(&first)), user, "no password at all");
    }

    #[test]
    fn keys_are_made_when_the_password_of_a_hash_is_told() {
        let known = User { hash: PasswordHash::of(b"p", [1; 4]).hash(), ..User::default() };
        let told = completed(&User::default(), Some("p"), Some(&known));
        assert!(told.hash == known.hash && told.scram.is_some());
    }

    #[test]
    fn keys_stay_with_the_hash_of_their_password_and_with_no_other() {
        let known = completed(&User::default(), Some("p"), None);
        let same = User { hash: known.hash.clone(), ..User::default() };
        assert_eq!(completed(&same, None, Some(&known)), known);
        let other = User { hash: PasswordHash::of(b"p", [9; 4]).hash(), ..User::default() };
        assert_eq!(completed(&other, None, Some(&known)).scram, None);
    }
}
