#!/usr/bin/env python3
r"""Golden matches of regular expressions, by the Oniguruma inside Hugging Face's tokenizers library.

Writes testdata/tokenizer/patterns.json: for each pattern its matches in each text where it has some, or why the
library refuses it.

    python scripts/golden/tokenizer_patterns.py testdata/tokenizer/patterns.json
"""
import hashlib
import json
import pathlib
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

TEXTS = [
    "Hello world's 123abc\n\n x", "aaaa bbb aabab", "foo.bar-baz_qux (x) [y] {z}", "ABC def GHI jkl", "Größe STRASSE straße ẞ weiß", "ﬁrst ﬂow ſt ﬅ", "İı iI ǰ ŉ ΐ",
    "日本語テスト、カタカナひらがな。漢字", "привет МИР ёЁ", "a1b22c333 ²³¼ Ⅷ ٣ 五", "tab\tnl\ncr\rcrlf\r\nff\fvt\vnel\u0085ls\u2028ps\u2029", "e\u0301a\u0300 _under_ ‿ Ⓐⓐ 🄰",
    "x=1+2*3/4^5%6&7|8~9", "  lead   mid    trail  ", "line1\nline2\n", "\n", "\n\n", "a\u00a0b\u3000c\u200bd\u00ade", "👍🏽 🇩🇪 👩‍👩‍👧", "abcabcabc abab", "<tag attr='v'>t</tag>", "aabbaabb cdcd",
    "0xDEADbeef deadBEEF 12fg", "ss SS sS ſs ff fi FFI st", "K \u212a k Å \u212b å Ωω\u2126 µμ", "q", "$5.00 €6 £7 ©® ™", "Σσς ΑΣ άΆ", "日に3回、5mgを\u3000飲む!", "((a)(b))((c))", "'s 'T 'll 'RE 've", "ααβ aA bB",
]

MARK = "·"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

PATTERNS = [
    # What tokenizers use.
    GPT2, LLAMA3, LLAMA3.replace("{1,3}", ""),
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r" ?[^(\s|.,!?…。，、।۔،)]+", r"\d{3}(?=(\d{3})*\b)", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))", r"[一-龥぀-ゟ゠-ヿ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[0-9][0-9][0-9]", r"[\p{P}\$\+<=>\^~\|`]+",
    r"(?:\r?\n)+|\s{2,}|[^\s]+", r"\p{Han}+|\p{Hiragana}+|\p{Katakana}+", r"[\p{Han}]+", r"(?<=[a-z])(?=[A-Z])", r"(?=\p{Lu})", r"(?<!\S)\S+(?!\S)", r"(?<=\d)(?=\D)|(?<=\D)(?=\d)",
    # Quantifiers.
    r"a*", r"a+", r"a?", r"a*?", r"a+?", r"a??", r"a*+a", r"a++", r"a?+a", r"a{2}", r"a{2,}", r"a{,2}", r"a{1,2}", r"a{1,2}?", r"a{2}?", r"a{2,}?b", r"a{,2}?b", r"a{2}+", r"a{1,2}+", r"a{2,}+b",
    r"a{3,1}", r"a{3,1}b", r"a{2,1}?", r"a{,}", r"a{", r"a{x}", r"a{1", r"a{1,x}", r"{", r"{,3}a", r"x{0}a", r"a{0,0}b", r"a{1}b", r"(?:ab)+", r"(?:ab)*?c", r"(?:ab|cd)+", r"(?:ab){2}+", r"(?:a|ab)(?:c|bcd)*",
    r"(?:a?)+", r"(?:a*)*", r"(?:a*)+b", r"(?:a+)*", r"(?:a??)+b", r"(?:a*?)*b", r"(?:a|)+", r"(?:|a)+", r"(?:|a)*b", r"(?:a?b?)*", r"(?:a*){2,3}", r"(?:a+){2,3}", r"(?:a{2}){3}", r"(?:a?){3}", r"(?:a{2,3}){2}", r"a**", r"a+*", r"a?*", r"a*?+",
    r"(?:a+?)?", r"(?:a+?)+b", r"(?:a+)??b", r"(?:a?)*?b", r"(?:a*)??b", r"[ab]*b", r"[ab]*?b", r"[ab]*+b", r"\w+\s", r"\w+?\s", r"\w++\s", r".*b", r".*?b", r".+\n", r"(?:.|\n)+?x", r"*a", r"+a", r"?a", r"|*", r"(*)", r"(?:+)", r"a|b|", r"|a", r"()", r"", r"(?:)", r"(?:)*", r"(?:)+a",
    r"(?:aa|a)+b", r"(?>aa|a)+b", r"(?>a*)b", r"(?>a+)a", r"(?>a|aa)b", r"(?>.*)b|a", r"(?:(?>a)b)+",
    # Anchors.
    r"^", r"$", r"^a", r"^.", r".$", r"^$", r"\A", r"\A.", r"\z", r"\Z", r".\z", r".\Z", r"\n\Z", r"\n\z", r"\n$", r"$\n", r"^\n", r"\b", r"\B", r"\b\w", r"\w\b", r"\b\d+\b", r"\Bb", r"b\B", r"\G.", r"\Ga", r"\G", r"a\Gb", r"\G\w+\s?", r"^*", r"\b+", r"$?", r"(?:^)+", r"(?:^|a)*", r"(?i:^)*a", r"(^)*a", r"(?=a)*", r"(?!a)+", r"(?<=a)?", r"((?=a))*a", r"\K*", r"(?:\b|a)+", r"(?m)^a.b$", r"(?m:.+)", r"(?-m:.+)", r"a\Kb", r"\w+\K\s", r"(?:a\K)+b", r"\Ka", r"foo\K", r"(?=a\K)",
    # Look-around.
    r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(?<=ab)a", r"(?<=a|bc)\w", r"(?<=a*)b", r"(?<=a+)b", r"(?<=a{2,3})b", r"(?<!a{2})b", r"(?<=^|\s)\w", r"(?<=\b)\w", r"(?<=(?:ab)+)c", r"(?<![a-z])\w", r"(?<=(a))b", r"(?<!(a))b", r"(?<!(?:a))b", r"(?<=(?=a)a)b", r"(?<=(?<=a)a)a", r"(?<=(?<!a)a)a", r"(?<!(?<!a)a)a", r"(?<!(?<=a)a)a", r"(?<=a$)\n", r"(?<=\n\z)", r"(?<=x\Z)", r"(?<=.)a", r"(?<=(?>a|b))b", r"(?<=\R)\w", r"(?<=\p{L})\d", r"(?<=日本)語", r"(?<![ァ-ヴ])[ァ-ヴ]", r"(?=(a))\1", r"(?!(b))a", r"(?=.*x)\w", r"(?=a|b)[ab]", r"(?!\s)\W", r"(?i)(?<=ss)e", r"(?i)(?<=ß)e", r"(?<=)a", r"(?<!)a", r"(?=)a", r"(?!)a", r"(?!)", r"(?<=a?)b", r"(?<!a?)b", r"(?<=a{70000})b",
    # Classes.
    r"[a-c]", r"[^a-c]", r"[a\-c]", r"[-a]", r"[a-]", r"[a-c-e]", r"[a-c-]", r"[--/]", r"[!--]", r"[+--]", r"[]a]", r"[^]a]", r"[]", r"[^]", r"[]-a]", r"[a[bc]]", r"[a[^bc]]", r"[^a[bc]]", r"[^a[^bc]]", r"[a-z&&[^aeiou]]", r"[a-z&&aeiou]", r"[\w&&[^\d_]]", r"[^\w&&[^\d]]", r"[a-z&&[b-y]&&[^m]]", r"[a-w&&[^c-g]z]", r"[&&a]", r"[a&&]", r"[a&b]", r"[a&&&b]", r"[a-c&&b-d]", r"[^a-c&&b-d]", r"[a&&-x]", r"[a-&&b]", r"[\p{L}&&\p{ASCII}]", r"[\p{L}--a]", r"[\p{L}&&[^\p{Lu}]]+", r"[[a-c][x-z]]", r"[[a-c]&&[b-d]]", r"[[^a]&&[^b]]", r"[^[^a]]", r"[a-[b]]", r"[[b]-c]", r"[\w-]", r"[\w-a]", r"[a-\w]", r"[\d-\s]", r"[a-b-\d]",
    r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[[:alnum:]]+", r"[[:digit:]]+", r"[[:space:]]+", r"[[:punct:]]+", r"[[:upper:]]+", r"[[:lower:]]+", r"[[:xdigit:]]+", r"[[:word:]]+", r"[[:graph:]]+", r"[[:print:]]+", r"[[:cntrl:]]+", r"[[:blank:]]+", r"[[:ascii:]]+", r"[^[:alpha:]]+", r"[[:alpha:]&&[^a-z]]+", r"[[:alpha:][:digit:]]+", r"[[:alpha:]_]+", r"[:alpha:]+", r"[[:foo:]]", r"[[:alpha]]", r"[[:alpha:]", r"[[:alpha:]-z]", r"[[.a.]]", r"[[=a=]]",
    r"[\n\t]", r"[\x41-\x43]", r"[\x{3042}-\x{30ff}]+", r"[\u3042-\u30ff]+", r"[\101-\103]", r"[\b]", r"[\B]", r"[\R]", r"[\X]", r"[\]]", r"[\[]", r"[\\]", r"[\^a]", r"[a^]", r"[.]", r"[$^]", r"[()*+?{}|]", r"[\h]+", r"[\H]+", r"[^\h]+", r"[\s\S]", r"[^\s\S]", r"[\d\D]", r"[\W]+", r"[^\W]+", r"[\S]+", r"[b-a]", r"[a", r"[a\]", r"[^", r"[\p{L}\p{N}]+", r"[^\p{L}\p{N}]+", r"[\P{L}]+", r"[\p{^L}]+", r"[^\P{L}]+", r"[あ-ん]+", r"[^あ-ん]+", r"[А-я]+", r"[\-\.]", r"[ \t]+", r"[\xff]", r"[\x80-\xff]", r"[\377]", r"[\x{110000}]", r"[a-\x{10ffff}]+", r"[\0]", r"[\e\a\f\v]", r"[\cA]", r"[\k]", r"[\é]", r"[é-ü]",
    # Escapes and shorthands.
    r"\w+", r"\W+", r"\d+", r"\D+", r"\s+", r"\S+", r"\h+", r"\H+", r"\R", r"\R+", r"\N+", r"\O+", r"\X", r"\y", r"\Y.", r".", r"(?m).", r"\t", r"\n", r"\r", r"\f", r"\v", r"\a", r"\e", r"\x41", r"\x4", r"\x", r"\x{41}", r"\x{3042}", r"\x{}", r"\x{41 42}", r"\x{zz}", r"\x{110000}", r"\x{d800}", r"\xe3\x81\x82", r"\xe3", r"\u0041", r"\u3042", r"\u41", r"\u", r"\101", r"\60", r"\0", r"\012", r"\8", r"\9", r"\o{101}", r"\o{}", r"\o", r"\cA", r"\C-a", r"\M-a", r"\q", r"\_", r"\-", r"\ ", r"\.", r"\/", r"\é", r"\日", r"\<", r"\>", r"\'", r"\`", r"\Q.\E", r"\p", r"\pL", r"\p{", r"\U", r"\l", r"\L", r"\j", "\\", r"a\.b", r"foo\.bar", r"\$\d", r"\(\w\)", r"\[y\]", r"\{z\}", r"\^5", r"7\|8", r"]", r"}", r"a]", r"{z}", r"x{z", r"\k", r"\g",
    # Properties.
    r"\p{L}+", r"\p{Lu}+", r"\p{Ll}+", r"\p{Letter}+", r"\p{Uppercase_Letter}", r"\p{uppercase letter}", r"\p{N}+", r"\p{Nd}+", r"\p{Nl}", r"\p{No}", r"\p{P}+", r"\p{Punct}+", r"\p{PosixPunct}+", r"\p{S}+", r"\p{Sm}", r"\p{Sc}", r"\p{Z}+", r"\p{Zs}+", r"\p{M}+", r"\p{Mn}+", r"\p{C}+", r"\p{Cc}+", r"\p{Cn}+", r"\p{Cf}+", r"\P{L}+", r"\p{^L}+", r"\P{^L}+", r"\p{Latin}+", r"\p{Greek}+", r"\p{Cyrillic}+", r"\p{Han}", r"\p{Hani}", r"\p{Hira}", r"\p{Kana}", r"\p{Latn}", r"\p{Arabic}", r"\p{Common}+", r"\p{Alpha}+", r"\p{Alphabetic}+", r"\p{Alnum}+", r"\p{Upper}+", r"\p{Lower}+", r"\p{Uppercase}+", r"\p{Lowercase}+", r"\p{Space}+", r"\p{White_Space}+", r"\p{Digit}+", r"\p{XDigit}+", r"\p{Word}+", r"\p{Graph}+", r"\p{Print}+", r"\p{Cntrl}+", r"\p{Blank}+", r"\p{ASCII}+", r"\p{Any}", r"\p{Assigned}+", r"\p{IsAlpha}", r"\p{IsL}", r"\p{InBasicLatin}", r"\p{In_Basic_Latin}+", r"\p{Emoji}+", r"\p{Extended_Pictographic}", r"\p{Script=Han}", r"\p{sc=Han}", r"\p{gc=Lu}", r"\p{Age=6.0}", r"\p{foo}", r"\p{}", r"\p{L&}", r"\p{LC}+", r"\p{l}+", r"\p{LU}+", r"\p{ Lu }+", r"\p{Ideographic}+", r"\p{Dash}", r"\p{Quotation_Mark}", r"\p{Hex_Digit}+", r"\p{ID_Start}+", r"\p{Math}+", r"\p{Cased}+",
    # Case.
    r"(?i)abc", r"(?i:abc)", r"(?i)[a-c]+", r"(?i)[^a-c]+", r"(?i)[^a]+", r"(?i)[[^a]]+", r"(?i)straße", r"(?i)strasse", r"(?i)ß", r"(?i)ss", r"(?i)s", r"(?i)s+", r"(?i)ss+", r"(?i)sss?", r"(?i)s(?:s)", r"(?i)(?:s)s", r"(?i)s(s)", r"(?i)s\x73", r"(?i)[ß]", r"(?i)[^ß]+", r"(?i)[ß]+", r"(?i)[ßx]", r"(?i)ẞ", r"(?i)ﬁ", r"(?i)fi", r"(?i)first", r"(?i)ffi", r"(?i)ff", r"(?i)st", r"(?i)ſ", r"(?i)ﬅ", r"(?i)k", r"(?i)\u212a", r"(?i)å", r"(?i)ω", r"(?i)µ", r"(?i)σ", r"(?i)ς", r"(?i)i", r"(?i)I", r"(?i)İ", r"(?i)ı", r"(?i)i\u0307", r"(?i)ǰ", r"(?i)ŉ", r"(?i)ʼn", r"(?i)ΐ", r"(?i)\p{Lu}+", r"(?i)[\p{Lu}]+", r"(?i)\p{Ll}", r"(?i)[[:upper:]]+", r"(?i)[[:lower:]]+", r"(?i)\w+", r"(?i)[\w]+", r"(?i)[\p{L}]", r"(?i)^[\p{L}]$", r"(?i)[a-z]+", r"(?i)[A-Z]", r"(?i)[k]", r"(?i)[s]+", r"(?i)[^s]+", r"(?i)[ſ]", r"(?i)мир", r"(?i)привет", r"(?i)ё", r"(?i)'s", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"(?i)[ﬀ-ﬆ]", r"(?i)[^ﬀ-ﬆ]+", r"(?i)(a)\1", r"a(?i)b", r"a(?i)b|c", r"a(?i:b)c", r"(?i)a(?-i)b", r"(?i)a(?-i:b)c", r"(?i:a|b)c", r"(?i)ab|(?-i)cd|gh", r"ab(?i)c|def|gh", r"(a(?i)b|c)d", r"(?i)*a", r"(?i)+", r"(?i)\x41", r"(?i)\u0041+", r"(?i)[a&&A]", r"(?i)[a-z&&[^k]]+", r"(?i)A{2}", r"(?i)[aA]{2,}",
    # Options, comments, extended form.
    r"(?x) a b # comment", "(?x) a b # c\n c", r"(?x)a +", r"(?x)a\ b", r"(?x)[a b]+", r"(?x:a b)c", r"(?x)(?# c )a", r"a(?#comment)b", r"a(?#c)+", r"a(?#c\)d)b", r"(?#", r"(?mi)a.b", r"(?mix) A . B ", r"(?i-m)a.", r"(?s)a", r"(?s:.)", r"(?a)a", r"(?u)a", r"(?W)\w+", r"(?D)\d+", r"(?S)\s+", r"(?P)[[:alpha:]]+", r"(?y{g})\X", r"(?I)a", r"(?C)(a)", r"(?L)a|aa", r"(?-i)a", r"(?i", r"(?z)", r"(?", r"(?:", r"(", r")", r"a)", r"(?:a", r"((a)", r"[a](",
    # Groups and references.
    r"(a)\1", r"(a|b)\1", r"(?:(a)|b)\1", r"(\w)\1", r"(\w+) \1", r"(a)(b)\2\1", r"\1(a)", r"(a\1)", r"(a)\2", r"\1", r"\2(a)(b)", r"(a)\10", r"(?<n>a)\k<n>", r"(?'n'a)\k'n'", r"(?<n>a)\1", r"(?<n>a)(b)\k<n>", r"(a)(?<n>b)\k<n>", r"(?<n>a)|(?<n>b)\k<n>", r"\k<n>(?<n>a)", r"(a)\k<1>", r"(a)(b)\k<-1>", r"(a)(b)\k<-2>", r"(a)\k<+1>(b)", r"(a)\k<2>", r"\k<x>", r"(?<1>a)", r"(?<>a)", r"(?<a-b>a)", r"(?<日>a)\k<日>", r"(?P<n>a)", r"(?P=n)", r"(?<n>a)\g<n>", r"(a)\g<1>", r"\g<0>", r"(a)?b\1", r"(a)*\1", r"(a?)*\1b", r"(a|ab)(c|bcd)\2", r"(?:(a)|(b))+\1", r"((a)|b)+\2", r"(?i)(a)\1", r"(a)(?i)\1", r"(.)(.)\2\1", r"(?<w>\w)\k<w>", r"(a)\k<n>", r"(a+)\1", r"(a*)\1b", r"(?>(a+))\1", r"(?=(\w+))\1", r"(?!(a))\w\1", r"(?<=(a))\1",
    r"(a)?(?(1)b|c)", r"(?(1)a|b)(x)", r"(a)?(?(1)b)", r"(a)?(?(1)|c)", r"(?<n>a)?(?(<n>)b|c)", r"(?<n>a)?(?('n')b|c)", r"(a)?(?(<1>)b|c)", r"(a)?(?(1))", r"(?(a)b|c)", r"(a)?(?(1)b|c|d)", r"(?(2)a|b)",
    r"(?~abc)", r"(?~|b|a+)", r"(?~|b)", r"(?{x})", r"(*FAIL)", r"(?@a)", r"(?|a|b)", r"(?+1)", r"(?R)", r"(?&n)", r"(?>)", r"(?>|a)", r"(?=|a)b",
]


def matches(pattern, text):
    """The matches as a text of bytes from-to; those that match nothing have one number."""
    pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)  # leaves out empty matches
    ends = {i: j for _, (i, j) in pieces}
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    out, pos = [], 0
    for c in normalizers.Replace(Regex(pattern), MARK).normalize_str(text):
        if c != MARK:
            pos += 1
        elif pos in ends:
            out.append(f"{at[pos]}-{at[ends[pos]]}")
            pos = ends.pop(pos)
        else:
            out.append(str(at[pos]))
    assert pos == len(text) and not ends
    return " ".join(out)


# Sets of characters, whole: what single classes match. Names that package unicode knows.
SETS = [r"\w", r"[\w]", r"\d", r"[\d]", r"\s", r"[\s]", r"\h", "."] + [
    r"\p{%s}" % n for n in ("L M N P S Z C Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Cc Cf Co Cn LC Alphabetic Lowercase Uppercase White_Space punct "
                           "PosixPunct word graph print Any Assigned space alnum cntrl blank Han Latin Arabic Common Inherited Cyrillic Hiragana Katakana Greek Hangul Devanagari "
                           "Thai Hebrew Egyptian_Hieroglyphs Balinese Myanmar Kawi Ideographic Hex_Digit Dash Diacritic Extender Terminal_Punctuation Sentence_Terminal "
                           "Other_Alphabetic").split()] + [
    "[[:%s:]]" % n for n in "alnum alpha ascii blank cntrl digit graph lower print punct space upper xdigit word".split()]


def members(pattern):
    """How many characters a class matches, and a hash of them as ranges."""
    split, hit = pre_tokenizers.Split(Regex(pattern), "removed", invert=True), []
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (c < 0x20000 or c % 64 == 0)]
    for k in range(0, len(chars), 4000):
        hit += [ord(piece) for piece, _ in split.pre_tokenize_str("".join(chars[k:k + 4000]))]
    return [len(hit), hashlib.sha256(" ".join(map(str, hit)).encode()).hexdigest()[:16]]


def main(path):
    tests = {}
    for p in PATTERNS:
        try:
            Regex(p)
        except Exception as e:
            tests[p] = str(e)
            continue
        tests[p] = {n: m for n, t in enumerate(TEXTS) if (m := matches(p, t))}
    made_by = {"tokenizers": tokenizers.__version__, "script_sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}
    with open(path, "w") as f:
        json.dump({"made_by": made_by, "texts": TEXTS, "patterns": tests, "sets": {p: members(p) for p in SETS}}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    print(len(tests), "patterns,", sum(isinstance(t, str) for t in tests.values()), "refused,", len(TEXTS), "texts")


if __name__ == "__main__":
    main(sys.argv[1])
