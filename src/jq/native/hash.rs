//! `sha256`, `hmac_sha256(key)`, `same(b)`: over the UTF-8 bytes of a text, in lower-case hex.

use hmac::{Hmac, KeyInit, Mac};
use jaq_core::Error;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::super::meter;
use super::super::value::Val;
use super::Outcome;

pub(super) fn sha256(input: &Val) -> Outcome {
    if matches!(input, Val::Null) {
        return Ok(Val::Null);
    }
    Ok(Val::text(hex::encode(Sha256::digest(bytes(input)?))))
}

/// Of null too there is no signature: a missing key must not look like an empty one.
pub(super) fn hmac_sha256(input: &Val, key: &Val) -> Outcome {
    let mut mac = Hmac::<Sha256>::new_from_slice(bytes(key)?).expect("HMAC takes keys of every length");
    mac.update(bytes(input)?);
    Ok(Val::text(hex::encode(mac.finalize().into_bytes())))
}

/// Whether two texts are equal, in a time that does not tell where they differ. Two missing ones are not the same.
pub(super) fn same(left: &Val, right: &Val) -> bool {
    match (left.as_text(), right.as_text()) {
        (Some(left), Some(right)) => left.as_bytes().ct_eq(right.as_bytes()).into(),
        _ => false,
    }
}

fn bytes(value: &Val) -> Result<&[u8], Error<Val>> {
    let text = value.as_text().ok_or_else(|| Error::typ(value.clone(), "text"))?;
    meter::work(text.len() * 8);
    Ok(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_agree_with_published_vectors() {
        let text = |text: &str| Val::text(text);
        // FIPS 180-2, appendix B.1; RFC 4231, test case 2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&text("abc")).unwrap(), text(abc));
        let mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(
            hmac_sha256(&text("what do ya want for nothing?"), &text("Jefe")).unwrap(),
            text(mac)
        );
    }

    #[test]
    fn missing_signature_or_key_is_never_the_same() {
        assert!(!same(&Val::Null, &Val::Null));
        assert!(!same(&Val::text("a"), &Val::Null));
        assert!(same(&Val::text("a"), &Val::text("a")));
        assert!(!same(&Val::text("a"), &Val::text("ab")));
        assert!(hmac_sha256(&Val::text("body"), &Val::Null).is_err());
        assert_eq!(sha256(&Val::Null).unwrap(), Val::Null);
    }
}
