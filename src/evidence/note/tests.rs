//! Notes and keys: the examples of the format's authors, their tables of what must be refused, and ours.

use super::*;
use zeroize::ZeroizeOnDrop;

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    VerifierKey::parse(text).unwrap()
}

fn opened(note: &str, keys: &[VerifierKey]) -> Result<Vec<String>, NoteError> {
    open(note.as_bytes(), keys).map(|opened| {
        assert_eq!(opened.text, TEXT);
        opened.signatures.into_iter().map(|signature| signature.name).collect()
    })
}

/// Every part of a text that is not the whole, and the text with each octet one higher.
fn mangled(text: &str) -> Vec<String> {
    let cut = (0..text.len()).flat_map(|from| (from..text.len()).map(move |to| (from, to + 1)));
    let cut = cut.filter(|(from, to)| to - from < text.len()).map(|(from, to)| text[from..to].to_owned());
    let raised = (0..text.len()).map(|at| {
        let mut octets = text.as_bytes().to_vec();
        octets[at] += 1;
        String::from_utf8(octets).unwrap()
    });
    cut.chain(raised).collect()
}

#[test]
fn published_keys_are_read_and_written_back() {
    for text in [
        PETER,
        ENOCH,
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        // The base64 has plus signs of its own.
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        // A witness.
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ] {
        assert_eq!(key(text).to_string(), text);
    }
    assert_eq!(
        key("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2").kind(),
        KeyKind::Cosignature
    );
    assert_eq!(key(PETER).id(), 0xc74f_20a3);
    assert_eq!(key(PETER).fingerprint().len(), 64);
}

#[test]
fn a_key_that_was_cut_or_changed_is_refused() {
    assert_eq!(SigningKey::parse(PETER_PRIVATE).unwrap().verifier(), &key(PETER));
    for text in mangled(PETER) {
        assert!(VerifierKey::parse(&text).is_err(), "{text}");
    }
    for text in mangled(PETER_PRIVATE) {
        assert!(SigningKey::parse(&text).is_err());
    }
    for (text, want) in [
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", KeyError::BadBase64),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::UnknownKind { kind: 0x65 }),
        ("bananas.sigstore.dev+12344556", KeyError::NotAKey),
        ("rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!", KeyError::BadBase64),
        ("rekor.sigstore.dev+12345678+AwEB", KeyError::UnknownKind { kind: 3 }),
        ("rekor.sigstore.dev+NOT_A_NUMBER+AQ==", KeyError::BadId),
        ("a+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::BadId),
        ("a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::BadName),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::BadName),
        // An ML-DSA key, much longer: its kind is what is said, not its length.
        ("a+c74f20a3+BkFB", KeyError::UnknownKind { kind: 6 }),
    ] {
        assert_eq!(VerifierKey::parse(text), Err(want), "{text}");
    }
    assert!(matches!(
        VerifierKey::parse("Peter+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        Err(KeyError::OtherId { said: 0xc74f_20a3, .. })
    ));
    assert_eq!(SigningKey::parse(PETER).unwrap_err(), KeyError::NotPrivate);
    // The identity and a point of order 4: with these, signatures verify that nobody made.
    for weak in [[1, 0], [0, 0]] {
        let mut octets = [0; 32];
        octets[..2].copy_from_slice(&weak);
        assert_eq!(VerifierKey::new("a", KeyKind::Ed25519, &octets), Err(KeyError::BadKey));
    }
}

#[test]
fn a_private_key_shows_nothing_and_is_zeroed() {
    fn zeroed<T: ZeroizeOnDrop>() {}
    zeroed::<ed25519_dalek::SigningKey>();
    let key = SigningKey::parse(PETER_PRIVATE).unwrap();
    assert_eq!(*key.to_text(), PETER_PRIVATE);
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
    let drawn = SigningKey::from_seed("a.example/log", &[9; 32]).unwrap();
    assert_eq!(SigningKey::parse(&drawn.to_text()).unwrap().verifier(), drawn.verifier());
}

#[test]
fn the_example_of_the_reference_is_signed_to_the_octet() {
    let key = SigningKey::parse(PETER_PRIVATE).unwrap();
    assert_eq!(sign(TEXT, &[&key]).unwrap(), format!("{TEXT}\n{PETER_LINE}"));
    for (text, want) in [("abc", NoteError::OpenEnd), ("", NoteError::OpenEnd), ("a\tb\n", NoteError::NotText)] {
        assert_eq!(sign(text, &[&key]), Err(want));
    }
    assert_eq!(sign(TEXT, &[]), Err(NoteError::Unsigned));
}

#[test]
fn the_example_of_the_specification_opens() {
    let note = "This is an example message.\n\n\
        — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let keys = [key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")];
    let opened = open(note.as_bytes(), &keys).unwrap();
    assert_eq!(opened.text, "This is an example message.\n");
    let signature =
        Verified { name: "example.com/foo".to_owned(), id: 0x530d_903a, kind: KeyKind::Ed25519, time: None };
    assert_eq!(opened.signatures, [signature]);
}

#[test]
fn lines_of_unknown_keys_are_passed_over_and_wrong_ones_of_known_keys_are_not() {
    let (peter, enoch) = (key(PETER), key(ENOCH));
    let both = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    let one = std::slice::from_ref;
    assert_eq!(opened(&both, one(&peter)).unwrap(), ["PeterNeumann"]);
    assert_eq!(opened(&both, &[enoch.clone(), peter.clone()]).unwrap(), ["PeterNeumann", "EnochRoot"]);
    assert_eq!(opened(&both, &[]), Err(NoteError::Unsigned));
    let twice = [enoch.clone(), peter.clone(), enoch.clone()];
    let ambiguous = NoteError::Ambiguous { name: "EnochRoot".to_owned(), id: 0xaf0c_fe78 };
    assert_eq!(opened(&both, &twice), Err(ambiguous));
    assert_eq!(opened(&format!("{TEXT}\n{PETER_LINE}"), &twice).unwrap(), ["PeterNeumann"]);
    // Repeated lines count once, and a changed line of an unknown key is nobody's matter.
    let changed = ENOCH_LINE.replacen("5n2t", "5nABCD2t", 1);
    assert_ne!(changed, ENOCH_LINE);
    let repeated = format!("{TEXT}\n{PETER_LINE}{PETER_LINE}{ENOCH_LINE}{ENOCH_LINE}{changed}");
    assert_eq!(opened(&repeated, one(&peter)).unwrap(), ["PeterNeumann"]);
    let wrong = |name: &str, id| NoteError::WrongSignature { name: name.to_owned(), id };
    assert_eq!(
        opened(&format!("{TEXT}\n{PETER_LINE}{changed}"), &[peter.clone(), enoch]),
        Err(wrong("EnochRoot", 0xaf0c_fe78))
    );
    let other_text = both.replacen("answer", "Answer", 1);
    assert_eq!(open(other_text.as_bytes(), one(&peter)), Err(wrong("PeterNeumann", 0xc74f_20a3)));
    // The same name with another id is another key.
    let renamed = PETER_LINE.replacen("x08go", "x08gp", 1);
    assert_eq!(opened(&format!("{TEXT}\n{renamed}"), one(&peter)), Err(NoteError::Unsigned));
}

#[test]
fn what_is_no_note_is_refused() {
    let peter = [key(PETER)];
    let unended = &PETER_LINE[..PETER_LINE.len() - 1];
    for (note, want) in [
        (TEXT.to_owned(), NoteError::NoSignatures),
        (format!("{TEXT}\n"), NoteError::NoSignatures),
        (format!("{TEXT}\n\n\n"), NoteError::NoSignatures),
        (format!("{TEXT}{PETER_LINE}"), NoteError::NoSignatures),
        (format!("{TEXT}\n{unended}"), NoteError::OpenEnd),
        (format!("\u{1}{TEXT}\n{PETER_LINE}"), NoteError::NotText),
        (format!("{TEXT}\n{PETER_LINE}").replace('\n', "\r\n"), NoteError::NotText),
        (format!("{TEXT}\n{}", PETER_LINE.replacen("PeterNeumann", "Bad Name", 1)), NoteError::BadLine { line: 1 }),
        (format!("{TEXT}\n{}", PETER_LINE.replacen("PeterNeumann", "", 1)), NoteError::BadLine { line: 1 }),
        (format!("{TEXT}\n{}", PETER_LINE.replacen('—', "-", 1)), NoteError::BadLine { line: 1 }),
        (format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"), NoteError::BadLine { line: 2 }),
        (format!("{TEXT}\n{PETER_LINE}— a AAAAAA==\n"), NoteError::BadLine { line: 2 }),
        (format!("{TEXT}\n{}", PETER_LINE.repeat(101)), NoteError::TooManySignatures),
        (format!("{}\n{PETER_LINE}", "a\n".repeat(600_000)), NoteError::TooLarge),
    ] {
        assert_eq!(open(note.as_bytes(), &peter), Err(want), "{:?}", &note[..note.len().min(200)]);
    }
    let octets = [b"\xff".as_slice(), TEXT.as_bytes(), b"\n", PETER_LINE.as_bytes()].concat();
    assert_eq!(open(&octets, &peter), Err(NoteError::NotText));
    assert_eq!(opened(&format!("{TEXT}\n{}", PETER_LINE.repeat(100)), &peter).unwrap(), ["PeterNeumann"]);
}

#[test]
fn a_text_may_have_empty_lines_and_look_like_a_note_itself() {
    let key = SigningKey::parse(PETER_PRIVATE).unwrap();
    let inner = sign("inner\n", &[&key]).unwrap();
    for text in ["\n", "a\n\nb\n", &inner, &format!("{inner}\n")] {
        let note = sign(text, &[&key]).unwrap();
        assert_eq!(open(note.as_bytes(), &[key.verifier().clone()]).unwrap().text, text);
    }
}

/// A cosignature as a witness makes it.
fn cosignature(key: &ed25519_dalek::SigningKey, public: &VerifierKey, text: &str, time: u64) -> String {
    let mut octets = public.id().to_be_bytes().to_vec();
    octets.extend(time.to_be_bytes());
    octets.extend(key.sign(cosigned(text, time).as_bytes()).to_bytes());
    format!("— {} {}\n", public.name(), base64(&octets))
}

#[test]
fn a_witness_signs_the_time_with_the_text() {
    let private = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let octets = private.verifying_key().to_bytes();
    let witness = VerifierKey::new("w.example", KeyKind::Cosignature, &octets).unwrap();
    let log = VerifierKey::new("w.example", KeyKind::Ed25519, &octets).unwrap();
    assert_ne!(witness.id(), log.id(), "the same key for another use is another key");
    let line = cosignature(&private, &witness, TEXT, 1_679_315_147);
    let note = format!("{TEXT}\n{line}");
    let seen = open(note.as_bytes(), std::slice::from_ref(&witness)).unwrap();
    assert_eq!(seen.signatures[0].time, Some(1_679_315_147));
    assert_eq!(open(note.as_bytes(), std::slice::from_ref(&log)), Err(NoteError::Unsigned));
    let wrong = Err(NoteError::WrongSignature { name: "w.example".to_owned(), id: witness.id() });
    // Another time, a time past what the format has, a plain signature under the witness's id.
    let line = |time: u64, signature: &[u8]| {
        let octets = [&witness.id().to_be_bytes()[..], &time.to_be_bytes(), signature].concat();
        format!("{TEXT}\n— w.example {}\n", base64(&octets))
    };
    let signature = private.sign(cosigned(TEXT, 7).as_bytes()).to_bytes();
    assert!(open(line(7, &signature).as_bytes(), std::slice::from_ref(&witness)).is_ok());
    assert_eq!(open(line(8, &signature).as_bytes(), std::slice::from_ref(&witness)), wrong);
    let late = private.sign(cosigned(TEXT, 1 << 63).as_bytes()).to_bytes();
    assert_eq!(open(line(1 << 63, &late).as_bytes(), std::slice::from_ref(&witness)), wrong);
    let plain = format!(
        "{TEXT}\n— w.example {}\n",
        base64(&[&witness.id().to_be_bytes()[..], &private.sign(TEXT.as_bytes()).to_bytes()].concat())
    );
    assert_eq!(open(plain.as_bytes(), std::slice::from_ref(&witness)), wrong);
}

/// Numbers 1, 3, 5 and 7 of C2SP CCTV's edge cases of Ed25519: an ordinary verification takes each for a signature.
#[test]
fn a_signature_that_nobody_made_is_refused() {
    const KEY: &str = "10eb7c3acfb2bed3e0d6ab89bf5a3d6afddd1176ce4812e38d9fd485058fdb1f";
    for (number, key, signature, text) in [
        (1, "00".repeat(32), "00".repeat(64), "ed25519vectors 11"),
        (
            3,
            "00".repeat(32),
            "36684ea91032ba5b1dbab2d02f4debc74c3327f2b3802e2e4d371aa42b12b56b\
             05ba9a796274d80437afa36f1236563f2f3b0aa84cecddc3d20914615ba4fe02"
                .to_owned(),
            "ed25519vectors 3",
        ),
        (
            5,
            KEY.to_owned(),
            "0000000000000000000000000000000000000000000000000000000000000000\
             9472a69cd9a701a50d130ed52189e2455b23767db52cacb8716fb896ffeeac09"
                .to_owned(),
            "ed25519vectors 3",
        ),
        (
            7,
            KEY.to_owned(),
            "36684ea91032ba5b1dbab2d02f4debc74c3327f2b3802e2e4d371aa42b12b56b\
             bbfd00bd9c259d8d222d15e67a3d8228585050dbb9b9585be20d8fadc721da03"
                .to_owned(),
            "ed25519vectors",
        ),
    ] {
        let octets: [u8; 32] = const_hex::decode_to_array(&key).unwrap();
        let signature: [u8; 64] = const_hex::decode_to_array(&signature).unwrap();
        let plain = VerifyingKey::from_bytes(&octets).unwrap();
        let taken = ed25519_dalek::Verifier::verify(&plain, text.as_bytes(), &Signature::from_bytes(&signature));
        assert!(taken.is_ok(), "{number}: the vector is not what it was");
        let strict = VerifierKey::new("a", KeyKind::Ed25519, &octets).ok().and_then(|key| key.verify(text, &signature));
        assert_eq!(strict, None, "{number}");
    }
}
