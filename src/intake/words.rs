//! Words that lists write in place of a value: for "nothing here", and for whose address it is.

use super::headings::folded;
use crate::model::contact::Role;

/// Words for "nothing", folded; compared only where an address, a country or a language is expected.
const NOTHING: [&str; 61] = [
    "na",
    "none",
    "null",
    "ref",
    "value",
    "nv",
    "nil",
    "nan",
    "unknown",
    "notavailable",
    "notapplicable",
    "noemail",
    "nophone",
    "empty",
    "missing",
    "tbd",
    "notprovided",
    "notgiven",
    "无",
    "没有",
    "暂无",
    "未知",
    "不详",
    "未提供",
    "無",
    "沒有",
    "空",
    "keine",
    "keiner",
    "kein",
    "keineangabe",
    "ka",
    "unbekannt",
    "nichtvorhanden",
    "entfallt",
    "aucun",
    "aucune",
    "neant",
    "inconnu",
    "nonrenseigne",
    "nc",
    "ninguno",
    "ninguna",
    "nodisponible",
    "desconocido",
    "sindatos",
    "sincorreo",
    "notiene",
    "sd",
    "なし",
    "無し",
    "不明",
    "未登録",
    "該当なし",
    "未記入",
    "nenhum",
    "nenhuma",
    "naotem",
    "naoinformado",
    "desconhecido",
    "semdados",
];

/// Whether the cell says that there is nothing: it is empty, it is punctuation, or one of the words.
pub(super) fn says_nothing(cell: &str) -> bool {
    // Longer than any of the words, or with an @ in it, is something: the common case, decided without folding.
    if cell.len() > 32 || cell.contains('@') {
        return false;
    }
    let mut characters = cell.chars();
    if characters.clone().any(|c| c.is_ascii_digit()) {
        return false;
    }
    characters.all(|c| !c.is_alphanumeric()) || NOTHING.contains(&folded(cell.trim_start_matches('#')).as_str())
}

const ROLES: [(Role, &str); 3] = [
    (
        Role::OneSelf,
        "self|own|person|customer|oneself|themselves|本人|自己|selbst|kunde|soi même|soi|lui-même|titular|cliente|mismo|próprio|ご本人|client",
    ),
    (
        Role::Guardian,
        "guardian|parent|legal guardian|mother|father|custodian|监护人|家长|父母|父亲|母亲|監護人|Vormund|Erziehungsberechtigter|Erziehungsberechtigte|Eltern|gesetzlicher Vertreter|Betreuer|tuteur|tutrice|parent|représentant légal|tutor|tutora|padre|madre|representante legal|保護者|親権者|後見人|親|responsável|responsável legal|pai|mãe",
    ),
    (
        Role::NextOfKin,
        "next of kin|next-of-kin|nok|kin|relative|spouse|survivor|近亲属|近亲|亲属|家属|配偶|Angehöriger|Angehörige|nächster Angehöriger|nächste Angehörige|Hinterbliebene|proche|proche parent|plus proche parent|famille|familiar|pariente|pariente más cercano|遺族|近親者|家族|parente|parente mais próximo|familiar próximo",
    ),
];

/// Whose address it is, in the words of a list.
pub(super) fn role_of(text: &str) -> Option<Role> {
    let wanted = folded(text);
    ROLES.into_iter().find(|(_, words)| words.split('|').any(|w| folded(w) == wanted)).map(|(role, _)| role)
}

/// The data exposed for a person: ids as the regimes name them, lower case with hyphens.
pub(super) fn data_types_of(text: &str) -> Vec<String> {
    let parts = text.split([';', ',', '|', '、', '，', '；', '/', '\n']).map(str::trim).filter(|p| !p.is_empty());
    parts.map(|part| part.to_lowercase().replace([' ', '_'], "-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_understood_in_seven_languages() {
        for cell in [
            "", " ", "-", "--", "N/A", "n.a.", "#N/A", "NULL", "none", "无", "なし", "keine", "K.A.", "Aucun", "néant",
            "ninguno", "não tem", "?",
        ] {
            assert!(says_nothing(cell), "{cell}");
        }
        for cell in ["0000", "123", "a@b.org", "call me", "nobody", "x at y"] {
            assert!(!says_nothing(cell), "{cell}");
        }
    }

    #[test]
    fn roles_and_data_types_are_read() {
        for (text, want) in [
            ("Self", Role::OneSelf),
            ("next of kin", Role::NextOfKin),
            ("监护人", Role::Guardian),
            ("Angehörige", Role::NextOfKin),
        ] {
            assert_eq!(role_of(text), Some(want));
        }
        assert_eq!(role_of("colleague"), None);
        assert_eq!(
            data_types_of("name; Email|ID Number、bank_account,"),
            ["name", "email", "id-number", "bank-account"]
        );
    }
}
