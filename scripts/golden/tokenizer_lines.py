"""Test lines for tokenizers: languages, code, emoji, runs of white space, numbers, special tokens; always the same."""
import random

WORDS = (
    "the of and to in is that for it was on are with as his they at be this have from or one had by word but not what all were we "
    "when your can said there use an each which she do how their if will up other about out many then them these so some her would"
).split()
LANGUAGES = [
    "naïve café déjà vu", "Привет, мир!", "你好，世界。今天天气很好", "こんにちは世界、カタカナ", "안녕하세요 세계", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया",
    "สวัสดีชาวโลก", "Ελληνικά γράμματα", "Việt Nam đẹp lắm", "Çağrı İstanbul ığdır", "Größe Straße ẞ", "ÅÄÖ e\u0301 a\u030a n\u0303 ﬁ Å ½",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒳", "“quotes” — dash… ‘it’s’ «oui»", "½ ² Ⅷ ٣ 五 ① ৪", "\u1100\u1161\u11a8 각",
]
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "☃️", "🙂🙃", "❤️‍🔥", "\U0001fae8"]
CODE = [
    "def f(x):\n    return x**2  # square\n", "for (int i=0;i<n;++i) {\n\ta[i] += b[i]*c;\n}", "SELECT * FROM t WHERE a<>'it''s';",
    '<div class="x">&nbsp;</div>', 'x := map[string]int{"a": 1}\r\n', "\\begin{align} \\alpha^2 &= 3 \\\\ \\end{align}",
    "#!/bin/sh\nset -e; echo \"$HOME\" | sed 's/a/b/g'", "if err != nil {\n\t\treturn fmt.Errorf(\"%w\", err)\n\t}", "a->b::c(*d, &e) >>= 0xFF_u8;",
]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n ", "\u00a0", "\u3000", "\u2003 ", " \t \n", " " * 8, " " * 31, "\u200b", "\u0085", "\x0b", "\u2028", "\r"]
APOSTROPHES = ["it's", "I'm", "we'll", "you've", "they'd", "don't", "'re", "'S", "IT'S", "CAN'T", "'ſ", "'Ll", "''s", "’s", "'"]
NUMBERS = ["0", "12", "123", "1234", "12345678", "3.14", "1,000,000", "0x1F", "1e-9", "٣٤٥", "１２３", "²³", "v1.2.3-rc4", "007"]
FIXED = ["", " ", "  ", "\n", "a", " a", "a ", "Hello  world's 123abc\n\n x", "a 12 b", "\ufeffbom", "\x00\x01\x7f", "\ufffd", "<s>", "</s> <s>", "x" * 80, "ab" * 40, "  \n  \n\n  x"]


def lines(count, seed=0, special=(), longest=19):
    """count strings of up to longest parts; those in special are mixed into some of them."""
    r = random.Random(seed)

    def random_ascii():
        return "".join(chr(r.randrange(33, 127)) for _ in range(r.randrange(1, 12)))

    def random_unicode():
        ranges = [(0x20, 0x2000), (0x2000, 0xD800), (0xE000, 0x30000)]
        return "".join(chr(r.randrange(*r.choice(ranges))) for _ in range(r.randrange(1, 8)))

    kinds = [
        lambda: r.choice(WORDS), lambda: r.choice(WORDS), lambda: r.choice(LANGUAGES), lambda: r.choice(EMOJI), lambda: r.choice(CODE),
        lambda: r.choice(SPACES), lambda: r.choice(APOSTROPHES), lambda: r.choice(NUMBERS), lambda: "".join(r.choice(WORDS) for _ in range(3)),
        random_ascii, random_unicode, lambda: r.choice(WORDS).upper(), lambda: r.choice(WORDS).title() + "'s",
        lambda: r.choice(special) if special else "<s>",
    ]
    out = list(FIXED[:count])
    while len(out) < count:
        out.append("".join(r.choice(kinds)() + r.choice([" ", " ", "", "", "  ", "\n"]) for _ in range(r.randrange(1, longest + 1))))
    return out
