#!/usr/bin/env python3
"""Writes a clean customer list of any length to stdout, the same one each time.

    make_list.py ROWS [--contacts both|email|phone]

Every person is made up. References and addresses are unique, and so are full names up to a million; email addresses are in domains that belong to
nobody; telephone numbers are valid for their country, so they must only ever be given to a server of one's own. Eight
locales take turns; numbers stand by turns in national and in international form.
"""

import argparse
import sys

SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "ve"]
HAN = "安白程丁方高韩江孔林马宁欧潘秦任"
KANA = "あいうえおかきくけこさしすせそた"
DOMAINS = ["example.com", "example.org", "example.net", "mail.example", "post.example"]


def digits_of(n, signs):
    """n to base 16, in five signs."""
    return "".join(signs[(n >> shift) & 15] for shift in (16, 12, 8, 4, 0))


def latin(n):
    return digits_of(n, SYLLABLES).capitalize()


# Locale, country, given name, family name, calling code, national form (k counts the rows of the locale).
LOCALES = [
    ("en-US", "US", "Harper", latin, "1", lambda k: f"{(212, 310, 415, 617)[k % 4]}{200 + k // 4 % 200}{k // 800:04}", ""),
    ("zh-CN", "CN", "", lambda n: digits_of(n, HAN), "86", lambda k: f"138{k:08}", ""),
    ("de-DE", "DE", "Annegret", latin, "49", lambda k: f"1511{k:07}", "0"),
    ("fr-FR", "FR", "Solène", latin, "33", lambda k: f"61{k:07}", "0"),
    ("es-ES", "ES", "Íñigo", latin, "34", lambda k: f"61{k:07}", ""),
    ("ja-JP", "JP", "", lambda n: digits_of(n, KANA), "81", lambda k: f"902{k:07}", "0"),
    ("pt-BR", "BR", "Conceição", latin, "55", lambda k: f"119{6 * 10**7 + k:08}", ""),
    ("en-GB", "GB", "Rosalind", latin, "44", lambda k: f"{7400 + k // 10**6}{k % 10**6:06}", "0"),
]


def row(n, contacts):
    locale, country, given, family, code, national, trunk = LOCALES[n % len(LOCALES)]
    k = n // len(LOCALES)
    number = national(k)
    phone = f"+{code}{number}" if k % 2 else f"{trunk}{number}"
    email = f"{latin(n).lower()}.{n}@{DOMAINS[n % len(DOMAINS)]}"
    name = f"{given} {family(n)}".strip()
    # With tax records named, a notice names them; the empty ones take what the incident says.
    exposed = "name;email;tax-record" if n % 3 else ""
    return ",".join([
        f"FWB-{n:07}",
        name,
        email if contacts != "phone" else "",
        phone if contacts != "email" else "",
        locale,
        country,
        exposed,
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    parser.add_argument("--contacts", choices=["both", "email", "phone"], default="both")
    args = parser.parse_args()
    # Beyond that references need an eighth digit; beyond 2^20 names come again.
    most = 10_000_000
    if not 0 < args.rows <= most:
        parser.error(f"from 1 to {most} rows")
    out = sys.stdout
    out.reconfigure(encoding="utf-8", newline="\n")
    out.write("reference,name,email,phone,locale,country,data types\n")
    for start in range(0, args.rows, 10_000):
        stop = min(start + 10_000, args.rows)
        out.write("".join(row(n, args.contacts) + "\n" for n in range(start, stop)))


if __name__ == "__main__":
    main()
