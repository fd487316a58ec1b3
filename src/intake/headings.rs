//! What a heading means: the names that customer lists give their columns, in seven languages.
//!
//! A heading is compared without case, accents, spaces, punctuation and width. A number behind it ("Email 2") and a
//! remark in brackets ("Mobile (private)") are looked past. What is not here is mapped in the incident file.

use crate::model::channel::ContactKind;
use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Reference,
    Name,
    GivenName,
    FamilyName,
    Email,
    Phone,
    Locale,
    Country,
    Region,
    BirthDate,
    DataTypes,
    Role,
}

impl Field {
    pub const ALL: [Field; 12] = [
        Field::Reference,
        Field::Name,
        Field::GivenName,
        Field::FamilyName,
        Field::Email,
        Field::Phone,
        Field::Locale,
        Field::Country,
        Field::Region,
        Field::BirthDate,
        Field::DataTypes,
        Field::Role,
    ];

    /// The name in `[source.columns]` and in problems.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Reference => "ref",
            Field::Name => "name",
            Field::GivenName => "given_name",
            Field::FamilyName => "family_name",
            Field::Email => "email",
            Field::Phone => "phone",
            Field::Locale => "locale",
            Field::Country => "country",
            Field::Region => "region",
            Field::BirthDate => "birth_date",
            Field::DataTypes => "data_types",
            Field::Role => "role",
        }
    }

    /// The field of that name; `email_2` and the like name a further address.
    pub fn parse(name: &str) -> Option<Field> {
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        Field::ALL.into_iter().find(|f| f.as_str() == name || (f.is_address() && f.as_str() == plain))
    }

    /// The kind of address it is; several columns may hold one of a kind.
    pub fn contact_kind(self) -> Option<ContactKind> {
        [(Field::Email, ContactKind::Email), (Field::Phone, ContactKind::Phone)]
            .into_iter()
            .find_map(|(field, kind)| (field == self).then_some(kind))
    }

    fn is_address(self) -> bool {
        self.contact_kind().is_some()
    }
}

/// Names by field, `|` between them, a line per language: en, zh, de, fr, es, ja, pt.
const TABLE: [(Field, &str); 12] = [
    (
        Field::Reference,
        "ref|reference|reference no|reference number|customer no|customer number|customer id|customer ref|cust id|cust no|customer reference|customer code|client no|client number|client id|client code|account holder id|member no|member id|member number|membership no|person id|subject id|patient id|user id|uid|id|id no|record id|key|external id\
        |客户编号|客户号|客户ID|客户代码|客户编码|会员编号|会员号|会员ID|用户编号|用户ID|用户号|编号|序号ID|客戶編號|會員編號|用戶編號|編號\
        |Kundennummer|Kundennr|Kunden-Nr.|Kunden-ID|KdNr|Kd.-Nr.|Mitgliedsnummer|Mitglieds-Nr.|Referenz|Referenznummer|Personennummer\
        |numéro client|no client|n° client|n° de client|numéro de client|id client|identifiant|identifiant client|référence|référence client|code client|numéro d'adhérent\
        |número de cliente|n.º de cliente|nº cliente|núm. cliente|no de cliente|id cliente|id de cliente|código de cliente|código cliente|referencia|identificador\
        |顧客番号|お客様番号|顧客ID|会員番号|会員ID|ユーザーID|ユーザID|管理番号|番号|顧客コード|お客様コード\
        |número do cliente|nº do cliente|id do cliente|código do cliente|referência|matrícula",
    ),
    (
        Field::Name,
        "name|full name|fullname|customer name|client name|contact name|person|person name|member name|user name in full|display name|recipient|recipient name\
        |姓名|名字|客户姓名|客户名称|全名|用户姓名|会员姓名|联系人|联系人姓名|收件人|客戶姓名|聯絡人\
        |Vor- und Nachname|Vollständiger Name|Kundenname|Ansprechpartner|Name Vorname|Name, Vorname|Empfänger\
        |nom complet|nom et prénom|nom prénom|nom du client|nom client|prénom et nom|destinataire\
        |nombre completo|nombre y apellidos|nombre del cliente|nombre cliente|nombre y apellido|destinatario\
        |氏名|お名前|名前|顧客名|お客様名|ご氏名|フルネーム|会員名|宛名\
        |nome|nome completo|nome do cliente|nome cliente|destinatário",
    ),
    (
        Field::GivenName,
        "first name|firstname|given name|givenname|given names|forename|fname|first\
        |名|Vorname|Vornamen|prénom|prénoms|nombre|nombres|nombre de pila|primer nombre|名（名）|下の名前|primeiro nome",
    ),
    (
        Field::FamilyName,
        "last name|lastname|family name|familyname|surname|lname|last\
        |姓|姓氏|Nachname|Familienname|Zuname|nom|nom de famille|apellido|apellidos|primer apellido|氏|名字（姓）|苗字|sobrenome|apelido|último nome|nome de família",
    ),
    (
        Field::Email,
        "email|e-mail|mail|email address|e-mail address|mail address|customer email|contact email|primary email|email id|private email|work email|business email|secondary email|alternate email|other email|home email|personal email\
        |电子邮箱|电子邮件|邮箱|邮件|邮箱地址|电子邮件地址|电子邮箱地址|邮件地址|电邮|邮箱账号|備用郵箱|备用邮箱|電子郵件|電子信箱|電郵|郵箱|信箱|電子郵件地址\
        |E-Mail-Adresse|Mailadresse|Mail-Adresse|E-Mail privat|E-Mail geschäftlich|elektronische Post|Emailadresse\
        |courriel|adresse e-mail|adresse électronique|adresse mail|adresse courriel|mél|adresse de courriel|courrier électronique\
        |correo|correo electrónico|dirección de correo|dirección de correo electrónico|email de contacto|dirección electrónica\
        |メール|メールアドレス|電子メール|Eメール|Eメールアドレス|電子メールアドレス|E-mailアドレス|mailアドレス|連絡先メール|連絡先メールアドレス\
        |correio eletrônico|correio electrónico|endereço de e-mail|endereço de email|endereço eletrônico",
    ),
    (
        Field::Phone,
        "phone|phone no|phone number|telephone|telephone no|telephone number|tel|tel no|mobile|mobile no|mobile number|mobile phone|mobile phone number|cell|cell phone|cellphone|cellular|cell number|contact number|contact phone|contact no|home phone|work phone|business phone|daytime phone|landline|primary phone|other phone|alternate phone|secondary phone|msisdn|sms|sms number\
        |手机|手机号|手机号码|电话|电话号码|联系电话|移动电话|固定电话|座机|联系方式|联系手机|备用电话|家庭电话|手機|手機號碼|行動電話|電話號碼|聯絡電話|電話\
        |Telefon|Telefonnummer|Telefon-Nr.|Tel.-Nr.|Tel-Nr|Handy|Handynummer|Handy-Nr.|Mobil|Mobilnummer|Mobiltelefon|Mobilfunk|Mobilfunknummer|Festnetz|Festnetznummer|Rufnummer|Telefon privat|Telefon geschäftlich|Telefon mobil\
        |téléphone|numéro de téléphone|n° de téléphone|tél|tél.|téléphone portable|portable|téléphone mobile|numéro de portable|n° de portable|téléphone fixe|numéro de mobile|gsm\
        |teléfono|número de teléfono|telf|tfno|móvil|teléfono móvil|número de móvil|celular|teléfono celular|teléfono fijo|nº de teléfono|número de celular\
        |電話番号|携帯|携帯電話|携帯番号|携帯電話番号|携帯電話の番号|連絡先電話番号|連絡先|固定電話|自宅電話|ご連絡先|連絡先番号|お電話番号\
        |telefone|número de telefone|telemóvel|celular|telefone celular|telefone fixo|nº de telefone|número do celular|fone|número de telemóvel",
    ),
    (
        Field::Locale,
        "locale|language|lang|preferred language|language code|correspondence language|contact language|language preference\
        |语言|首选语言|语种|偏好语言|語言|語系|Sprache|Korrespondenzsprache|bevorzugte Sprache|Sprachcode|langue|langue préférée|langue de correspondance|code langue\
        |idioma|lengua|idioma preferido|idioma de contacto|言語|使用言語|言語コード|希望言語|língua|idioma preferencial|linguagem",
    ),
    (
        Field::Country,
        "country|country code|country of residence|nation|country name\
        |国家|国别|所在国家|国家代码|国家/地区|國家|國別|Land|Staat|Wohnsitzland|Ländercode|Länderkennzeichen|Wohnland|pays|code pays|pays de résidence\
        |país|país de residencia|código de país|国|国名|居住国|国コード|país de residência|código do país",
    ),
    (
        Field::Region,
        "region|state|province|state province|state/region|state/province|county\
        |地区|省|省份|州|省市|所在地区|所在省份|省/州|地區|Bundesland|Kanton|Provinz|région|province|département|canton|état\
        |región|provincia|comunidad autónoma|estado|departamento|地域|都道府県|região|província|uf|distrito",
    ),
    (
        Field::BirthDate,
        "birth date|birthdate|date of birth|dob|birthday|born|born on\
        |出生日期|生日|出生年月日|出生年月|Geburtsdatum|Geburtstag|geboren am|date de naissance|né le|naissance|anniversaire\
        |fecha de nacimiento|nacimiento|cumpleaños|fecha nacimiento|生年月日|誕生日|data de nascimento|nascimento|aniversário",
    ),
    (
        Field::DataTypes,
        "data types|data type|exposed data|data exposed|affected data|data affected|compromised data|leaked data|breached data|data categories|exposed fields\
        |泄露数据|数据类型|受影响数据|泄露信息|泄漏数据|泄露的数据|泄露内容|數據類型|洩露數據|betroffene Daten|Datenarten|offengelegte Daten|Datenkategorien\
        |données exposées|données concernées|types de données|données compromises|catégories de données|données touchées\
        |datos expuestos|datos afectados|tipos de datos|datos comprometidos|categorías de datos|漏えいデータ|漏洩データ|漏えいした情報|漏えい項目|漏洩項目|データ種別|対象データ\
        |dados expostos|dados afetados|tipos de dados|dados comprometidos|categorias de dados",
    ),
    (
        Field::Role,
        "role|contact role|recipient role|relationship|relation|capacity\
        |角色|关系|联系人角色|与本人关系|關係|Rolle|Beziehung|Verhältnis|rôle|lien|qualité|relación|rol|parentesco|vínculo|続柄|役割|関係|papel|relação",
    ),
];

static BY_NAME: LazyLock<HashMap<String, Field>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (field, list) in TABLE {
        for name in list.split('|') {
            names.entry(folded(name)).or_insert(field);
        }
        names.insert(folded(field.as_str()), field);
    }
    names
});

/// The columns that the rejects file adds, and that are no data when it is fed back.
pub(super) const REJECT_COLUMNS: [&str; 3] = ["forewarn_row", "forewarn_code", "forewarn_message"];

/// What a heading means, if it is one of the known names.
pub(super) fn field_of(heading: &str) -> Option<Field> {
    let heading = super::rejects::without_escape(heading);
    let known = |text: &str| BY_NAME.get(&folded(text)).copied();
    let numbered = |text: &str| {
        let plain = folded(text);
        let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit());
        BY_NAME.get(plain).copied().filter(|f| f.is_address())
    };
    known(heading).or_else(|| numbered(heading)).or_else(|| {
        let bare = heading.split(['(', '（', '[', '［']).next().filter(|bare| bare.len() < heading.len())?;
        known(bare).or_else(|| numbered(bare))
    })
}

/// Without case, accents, spaces, punctuation and width.
pub(super) fn folded(heading: &str) -> String {
    let numero = heading.replace(['#', '№'], "no").replace(['°', 'º'], "o");
    let without_accents = numero.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).nfc();
    without_accents.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: Field, headings: &str) {
        for heading in headings.split('|') {
            assert_eq!(field_of(heading), Some(field), "{heading}");
        }
    }

    #[test]
    fn headings_of_persons_are_known_in_seven_languages() {
        check(
            Field::Reference,
            "Customer No.|CUSTOMER #|ref|客户编号|Kunden-Nr.|N° client|Nº de cliente|顧客番号|Número do cliente",
        );
        check(Field::Name, "Full Name|Name|姓名|Vor- und Nachname|Nom complet|Nombre completo|氏名|Nome completo");
        check(Field::GivenName, "First Name|名|Vorname|Prénom|Nombre|Primeiro nome");
        check(Field::FamilyName, "Last_Name|姓|Nachname|Nom|Apellidos|Sobrenome");
        check(Field::Locale, "Language|语言|Sprache|Langue|Idioma|言語");
        check(Field::Country, "Country|国家|Land|Pays|País|国");
        check(Field::Region, "Region|地区|Bundesland|Région|Provincia|都道府県|UF");
        check(
            Field::BirthDate,
            "Date of Birth|birth_date|出生日期|Geburtsdatum|Date de naissance|Fecha de nacimiento|生年月日",
        );
        check(
            Field::DataTypes,
            "Exposed Data|泄露数据|Betroffene Daten|Données exposées|Datos expuestos|漏えいデータ|Dados expostos",
        );
        check(Field::Role, "role|关系|Rolle|続柄");
    }

    #[test]
    fn headings_of_addresses_are_known_with_numbers_and_remarks() {
        check(
            Field::Email,
            "E-mail| EMAIL |Ｅ－ｍａｉｌ|电子邮箱|E-Mail-Adresse|Courriel|Correo electrónico|ﾒｰﾙｱﾄﾞﾚｽ|Endereço de e-mail",
        );
        check(Field::Email, "Email 2|Mail (work)|email_3|邮箱（备用）");
        check(
            Field::Phone,
            "Mobile|手机号|Telefon-Nr.|TELEPHONE|Téléphone|Teléfono móvil|携帯電話番号|Celular|Phone2|电话1",
        );
    }

    #[test]
    fn other_headings_are_not_taken_for_a_field() {
        for heading in ["Account", "账号", "", "2", "Email sent at", "Phone model", "Balance", "Region 2", "(x)"] {
            assert_eq!(field_of(heading), None, "{heading}");
        }
    }

    #[test]
    fn every_field_has_its_own_name() {
        for field in Field::ALL {
            assert_eq!(Field::parse(field.as_str()), Some(field));
            assert_eq!(field_of(field.as_str()), Some(field));
        }
        assert_eq!(Field::parse("email_2"), Some(Field::Email));
        assert_eq!(Field::parse("region_2"), None);
    }
}
